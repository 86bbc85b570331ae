//! The commands of a story that give EC2, the members or the store of the claims a trouble that lasts.

use std::time::Duration;

use crate::ids::{ImageId, Owner, SlotName};
use crate::sim::{Look, Move, Protection};

use super::command::{Pick, picked};
use super::mistake::Mistake;
use super::stage::Stage;
use super::words::{Placed, Words};

/// A trouble that lasts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// The answers of EC2 are so old, for so long.
    Old {
        age: Duration,
        span: Duration,
    },
    Stick(Move, Duration),
    /// An instance is set aside in its group, or back into service.
    Standby(Pick, Placed<SlotName>, bool),
    /// A lifecycle hook keeps whatever joins the group waiting.
    Hook(Duration),
    /// The members of these slots are cut off from the others.
    CutOff(Vec<Placed<SlotName>>, Duration),
    /// Nothing that the first slot's member sends reaches the second's.
    CutLink(Placed<SlotName>, Placed<SlotName>, Duration),
    /// EC2 describes a slot's first volume in this word, or in its own again.
    Word(Placed<SlotName>, Option<String>),
    /// Somebody sets the owner tag of an instance, or of a slot's first volume.
    Owner(Owned, Placed<SlotName>, Owner),
    /// So many more instances are in the region.
    Crowd(u64),
    /// An image fills a device by itself, or leaves its root volume behind.
    Image(ImageId, Option<String>),
    Accepted(Accepted, bool),
    Protect(Protection, Pick, Placed<SlotName>),
    HostStops(Pick, Placed<SlotName>),
    ChecksFail(Pick, Placed<SlotName>, Duration),
    Volume {
        io: bool,
        slot: Placed<SlotName>,
        span: Duration,
    },
    ClaimsInTheCluster(bool),
    Bounce(u8),
    LeastMembers(u8),
}

/// A call that EC2 accepts, and of which nothing comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Accepted {
    Volumes,
    Snapshots,
    Launches,
}

/// The resource that bears an owner's tag.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Owned {
    Instance(Pick),
    Volume,
}

/// The reader of all that follows a trouble's first word.
type Read = fn(&mut Words) -> Result<Trouble, Mistake>;

pub(super) const FIRST_WORDS: [(&str, Read); 17] = [
    ("put", put),
    ("hook", hook),
    ("cut", cut),
    ("describe", describe),
    ("hand", hand),
    ("crowd", crowd),
    ("show", show),
    ("image", image),
    ("stick", stick),
    ("let", accept),
    ("protect", |words| protect(words, true)),
    ("unprotect", |words| protect(words, false)),
    ("host", host),
    ("fail", fail),
    ("impair", |words| volume(words, true)),
    ("modify", |words| volume(words, false)),
    ("keep", keep),
];
pub(super) const MEMBER_WORDS: [(&str, Read); 2] = [("bounce", bounce), ("least", least)];

fn show(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("what was so")?;
    let age = words.span()?;
    words.say("ago for")?;
    words.span().map(|span| Trouble::Old { age, span })
}

fn stick(words: &mut Words) -> Result<Trouble, Mistake> {
    let which = words.one_of(&[("attach", Move::Attach), ("detach", Move::Detach), ("stop", Move::Stop)])?;
    words.say("for")?;
    words.span().map(|span| Trouble::Stick(which, span))
}

fn keep(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("claims")?;
    let inside = words.one_of(&[("in", true), ("elsewhere", false)])?;
    if inside {
        words.say("the cluster")?;
    }
    Ok(Trouble::ClaimsInTheCluster(inside))
}

fn put(words: &mut Words) -> Result<Trouble, Mistake> {
    let (pick, slot) = picked(words)?;
    words.say("in")?;
    let standby = words.one_of(&[("standby", true), ("service", false)])?;
    Ok(Trouble::Standby(pick, slot, standby))
}

fn hook(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("joins for")?;
    words.span().map(Trouble::Hook)
}

fn cut(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("off")?;
    let first = words.slot()?;
    if words.takes("from") {
        let to = words.slot()?;
        words.say("for")?;
        return words.span().map(|span| Trouble::CutLink(first, to, span));
    }
    let mut slots = vec![first];
    while words.takes("and") {
        slots.push(words.slot()?);
    }
    words.say("for")?;
    words.span().map(|span| Trouble::CutOff(slots, span))
}

fn describe(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("volume of")?;
    let slot = words.slot()?;
    if words.takes("well") {
        return Ok(Trouble::Word(slot, None));
    }
    words.say("as")?;
    words
        .word("a word of EC2's that nobody knows, e.g. `hibernating`")
        .map(|word| Trouble::Word(slot, Some(word.value)))
}

fn hand(words: &mut Words) -> Result<Trouble, Mistake> {
    let (owned, slot) = if words.takes("volume") {
        words.say("of")?;
        (Owned::Volume, words.slot()?)
    } else {
        picked(words).map(|(pick, slot)| (Owned::Instance(pick), slot))?
    };
    words.say("to")?;
    words.word("an owner, e.g. `storage-team`").map(|owner| Trouble::Owner(owned, slot, Owner::from(owner.value)))
}

fn crowd(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("of")?;
    let number = words.count()?;
    words.say("instances")?;
    Ok(Trouble::Crowd(number))
}

fn image(words: &mut Words) -> Result<Trouble, Mistake> {
    let image = words.image()?;
    if words.one_of(&[("brings", true), ("leaves", false)])? {
        return words.word("a device, e.g. `/dev/sdf`").map(|device| Trouble::Image(image, Some(device.value)));
    }
    words.say("its root").map(|()| Trouble::Image(image, None))
}

fn accept(words: &mut Words) -> Result<Trouble, Mistake> {
    let (what, ends) = words.one_of(&[
        ("volumes", (Accepted::Volumes, "vanish")),
        ("snapshots", (Accepted::Snapshots, "fail")),
        ("launches", (Accepted::Launches, "end")),
    ])?;
    words.one_of(&[(ends, true), ("be", false)]).and_then(|on| {
        if !on {
            words.say("well")?;
        }
        Ok(Trouble::Accepted(what, on))
    })
}

fn protect(words: &mut Words, on: bool) -> Result<Trouble, Mistake> {
    let (pick, slot) = picked(words)?;
    let mut protection = Protection::default();
    if on {
        words.say("from")?;
        match words.one_of(&[("stop", true), ("termination", false)])? {
            true => protection.stop = true,
            false => protection.termination = true,
        }
    }
    Ok(Trouble::Protect(protection, pick, slot))
}

fn host(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("stops")?;
    picked(words).map(|(pick, slot)| Trouble::HostStops(pick, slot))
}

fn fail(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("checks of")?;
    let (pick, slot) = picked(words)?;
    words.say("for")?;
    words.span().map(|span| Trouble::ChecksFail(pick, slot, span))
}

fn volume(words: &mut Words, io: bool) -> Result<Trouble, Mistake> {
    words.say("volume of")?;
    let slot = words.slot()?;
    words.say("for")?;
    words.span().map(|span| Trouble::Volume { io, slot, span })
}

fn bounce(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("leadership")?;
    let times = words.controller()?;
    words.say("times")?;
    Ok(Trouble::Bounce(times))
}

fn least(words: &mut Words) -> Result<Trouble, Mistake> {
    words.say("members")?;
    words.controller().map(Trouble::LeastMembers)
}

impl Stage {
    /// Lets a trouble begin, or end.
    pub(super) fn trouble(&self, trouble: &Trouble) -> Result<(), Mistake> {
        let (world, cluster) = (&self.world, self.simulation.committed().name);
        match trouble {
            Trouble::Old { age, span } => {
                world.make_old(Look::Sweep, *age, *span);
                world.make_old(Look::Last, *age, *span);
            }
            Trouble::Standby(pick, slot, on) => world.set_standby(&self.instance_of(*pick, slot)?, *on),
            Trouble::Hook(span) => world.hook_joins(*span),
            Trouble::CutOff(slots, span) => {
                slots.iter().try_for_each(|slot| self.instance_of(Pick::Oldest, slot).map(drop))?;
                let slots = slots.iter().map(|slot| slot.value.clone()).collect();
                world.cut_off(&cluster, &slots, *span);
            }
            Trouble::CutLink(from, to, span) => {
                [from, to].into_iter().try_for_each(|slot| self.instance_of(Pick::Oldest, slot).map(drop))?;
                world.cut_link(&cluster, &from.value, &to.value, *span);
            }
            Trouble::Word(slot, word) => {
                world.describe_oddly(&cluster, &self.volume_of(slot)?, word.as_deref());
            }
            Trouble::Owner(Owned::Instance(pick), slot, owner) => {
                let id = self.instance_of(*pick, slot)?;
                world.edit_instance(&id, |instance| instance.owner = Some(owner.clone()));
            }
            Trouble::Owner(Owned::Volume, slot, owner) => {
                world.edit_volume(&self.volume_of(slot)?, |volume| volume.owner = Some(owner.clone()));
            }
            Trouble::Crowd(instances) => world.crowd(*instances),
            Trouble::Image(image, device) => world.map_device(image, device.as_deref()),
            Trouble::Stick(which, span) => world.stick(*which, *span),
            Trouble::Accepted(Accepted::Volumes, on) => world.lose_new_volumes(*on),
            Trouble::Accepted(Accepted::Snapshots, on) => world.fail_snapshots(*on),
            Trouble::Accepted(Accepted::Launches, on) => world.end_launches(on.then_some("Client.InternalError")),
            Trouble::Protect(protection, pick, slot) => world.protect(&self.instance_of(*pick, slot)?, *protection),
            Trouble::HostStops(pick, slot) => world.host_stops(&self.instance_of(*pick, slot)?),
            Trouble::ChecksFail(pick, slot, span) => world.fail_checks(&self.instance_of(*pick, slot)?, *span),
            Trouble::Volume { io, slot, span } => world.trouble_volume(&self.volume_of(slot)?, *io, *span),
            Trouble::ClaimsInTheCluster(true) => world.keep_claims_in(&cluster),
            Trouble::ClaimsInTheCluster(false) => world.keep_claims_elsewhere(),
            Trouble::Bounce(times) => world.bounce_leadership(&cluster, (*times).into()),
            Trouble::LeastMembers(least) => world.set_least_members(&cluster, (*least).into()),
        }
        Ok(())
    }
}
