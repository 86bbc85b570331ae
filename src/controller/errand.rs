//! One cluster, attended to until it is where it is wanted, or does not get there by itself.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{self, Either};

use crate::plan::{Goal, Plan};
use crate::ports::{Clock, Outcome, Outside, PortError};
use crate::spec::ClusterSpec;
use crate::time::{Timestamp, after};

use super::verdict::{Judge, Verdict};
use super::{Attended, Audience, Controller, Report, Settings};

/// What a cluster is to be brought to, and within what time.
pub struct Errand {
    /// How it is declared.
    pub spec: ClusterSpec,
    /// What is wanted of it.
    pub goal: Goal,
    /// After so long it is given up. Nothing is undone.
    pub limit: Duration,
}

/// How an errand ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Finish {
    /// It is where it is wanted.
    Reached,
    /// It does not get there by itself, and why.
    Stuck(Plan),
    /// It was not there in time, and what it was at.
    OutOfTime(Plan),
    /// It was told to stop; what was in flight has been finished.
    BrokenOff,
}

impl Errand {
    /// Attends to the cluster until the end, or until `stop` comes.
    pub async fn run<O: Outside>(
        self,
        outside: O,
        settings: Settings,
        audience: &dyn Audience,
        stop: impl Future<Output = ()>,
    ) -> Finish {
        let until = after(outside.clock().now(), self.limit);
        let attended = Rc::new(Attended::towards(self.goal, self.spec));
        let finish = Rc::new(RefCell::new(Finish::BrokenOff));
        let ear = Ear { audience, attended: attended.clone(), judge: Judge::default(), until, finish: finish.clone() };
        let controller = Controller::new(outside, ear, settings);
        // On the heap: with a whole SDK below it, it is large.
        let attention = Box::pin(controller.attend(&attended));
        if let Either::Right(((), attention)) = future::select(attention, pin!(stop)).await {
            attended.stop();
            attention.await;
        }
        finish.replace(Finish::BrokenOff)
    }
}

/// Listens for the end, and hands on what is told.
struct Ear<'a> {
    audience: &'a dyn Audience,
    attended: Rc<Attended>,
    judge: Judge,
    until: Timestamp,
    finish: Rc<RefCell<Finish>>,
}

impl Audience for Ear<'_> {
    fn planned(&self, report: &Report<'_>) {
        self.audience.planned(report);
        let finish = match self.judge.counted(&report.spec.name, report.plan) {
            Verdict::Settled => Finish::Reached,
            Verdict::NeedsPerson | Verdict::Stalled | Verdict::Broken => Finish::Stuck(report.plan.clone()),
            Verdict::UnderWay if report.seen.now >= self.until => Finish::OutOfTime(report.plan.clone()),
            Verdict::UnderWay => return,
        };
        *self.finish.borrow_mut() = finish;
        self.attended.stop();
    }

    fn acted(&self, report: &Report<'_>, outcome: &Result<Outcome, PortError>) {
        self.audience.acted(report, outcome);
    }
}
