//! The adapter with the SDK beneath it, on a simulated world: its requests go to the world's own wire face and no farther, and
//! it sleeps and tells the time by the world's clock.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use aws_config::ConfigLoader;
use aws_sdk_ec2::config::http::{HttpRequest, HttpResponse};
use aws_sdk_ec2::config::{AsyncSleep, HttpClient, RuntimeComponents, Sleep};
use aws_sdk_ec2::error::ConnectorError;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use futures_util::FutureExt;

use hermitcrab::cloud::aws::{Aws, Options};
use hermitcrab::ids::Owner;
use hermitcrab::ports::{Clock, Outside};
use hermitcrab::sim::wire::{Reply, Request, Wire};
use hermitcrab::sim::{OWNER, World};
use hermitcrab::simulate::Reach;

use crate::here;
use crate::members::FromJson;

/// Controllers that look at a world and act on it through the adapter. All of one world have one endpoint.
pub fn adapter() -> Reach {
    let endpoint = RefCell::new(None);
    Reach::through(move |world: World| {
        let wire = endpoint.borrow_mut().get_or_insert_with(|| Rc::new(Wire::new(&world))).clone();
        let ends = here::keep((world.clone(), wire.clone()));
        let cloud = ec2(&world, Line(ends.number));
        Account { cloud, members: FromJson { world: world.clone(), wire }, world, _ends: ends }
    })
}

/// The ports of one controller.
struct Account {
    cloud: Aws<World>,
    members: FromJson,
    world: World,
    _ends: here::Keeping,
}

impl Outside for Account {
    type Cloud = Aws<World>;
    type Members = FromJson;
    type Coordination = World;
    type Clock = World;

    fn cloud(&self) -> &Aws<World> {
        &self.cloud
    }

    fn members(&self) -> &FromJson {
        &self.members
    }

    fn coordination(&self) -> &World {
        &self.world
    }

    fn clock(&self) -> &World {
        &self.world
    }
}

/// A new controller's way to EC2.
fn ec2(world: &World, line: Line) -> Aws<World> {
    let way = ConfigLoader::default()
        .empty_test_environment()
        .test_credentials()
        .http_client(line)
        .sleep_impl(line)
        .time_source(line);
    let options = Options::new(Owner::from(OWNER), "us-east-1");
    Aws::by(world.clone(), options, way).now_or_never().unwrap()
}

/// The line of one controller: the number of its world and of the endpoint.
#[derive(Clone, Copy, Debug)]
struct Line(u64);

impl Line {
    fn ends(self) -> Rc<(World, Rc<Wire>)> {
        here::kept(self.0)
    }
}

impl HttpClient for Line {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(*self)
    }
}

impl HttpConnector for Line {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let ends = self.ends();
        let header = |name| request.headers().get(name).unwrap_or_default().to_owned();
        let request = Request {
            authorization: header("authorization"),
            agent: header("user-agent"),
            body: request.body().bytes().unwrap().to_vec(),
        };
        let answer = here::stay(async move {
            let (world, wire) = &*ends;
            wire.carry(world, request).await
        });
        HttpConnectorFuture::new(async move {
            match answer.await {
                Reply::Answer(status, text) => {
                    Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(text)))
                }
                Reply::Silence => Err(ConnectorError::io("the connection was closed".into())),
            }
        })
    }
}

impl AsyncSleep for Line {
    fn sleep(&self, span: Duration) -> Sleep {
        let ends = self.ends();
        Sleep::new(here::stay(async move { ends.0.wait(span).await }))
    }
}

impl TimeSource for Line {
    fn now(&self) -> SystemTime {
        self.ends().0.now().into()
    }
}
