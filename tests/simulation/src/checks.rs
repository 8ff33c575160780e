//! What must hold at the end, by what tills saw, what disks hold and what stands in the store.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use xingka_core::capsule::{Record, Swipe, WithdrawnFor};
use xingka_core::decide::decide;
use xingka_core::facts::AskKind;
use xingka_core::follow_up::judge_give_back;
use xingka_core::ids::{HolderNo, Place};
use xingka_core::register::Taken;
use xingka_store::journal::chain::Follower;
use xingka_store::register::Filed;

use crate::people;
use crate::stage::Stage;
use crate::till::{Seen, Slip};
use crate::world::{Change, World};

/// A change made anywhere is in force everywhere within this.
const IN_FORCE: Duration = Duration::from_secs(1);

/// A question that was on its way when a line broke is given up after so long.
const GIVEN_UP: Duration = Duration::from_secs(21);

/// All checks; what they find is put down as violations.
pub fn all(world: &World, slips: &[Slip]) {
    let records = journals(world);
    let filed = world.store.register.filed().into_iter().map(|filed| (filed.place, filed)).collect();
    as_seen(&world.stage, slips, &records, &filed);
    decided_again(&world.stage, &records);
    changes_in_force(world, &records);
}

/// What holds wherever tills worked: in a simulation, or with real nodes.
pub fn as_seen(stage: &Stage, slips: &[Slip], records: &Records, filed: &HashMap<Place, Filed>) {
    let by_reference = records.iter().map(|(place, record)| (place.reference(), (*place, record))).collect();
    for seen in stage.all_seen() {
        is_recorded(stage, &seen, &by_reference, filed);
    }
    stands_once(stage, filed);
    within_limits(stage, slips);
}

/// What came into the store, in its order: for whoever looks for the reason of a violation.
pub fn trace(world: &World) -> Vec<String> {
    let line = |filed: Filed| {
        let Filed { place, record, taken, stands } = filed;
        let at_ms = record.epoch_ms() - world.began.0.as_millisecond();
        let key = record.asked().map(|asked| (asked.key.batch, asked.key.stan, asked.key.mti));
        let text = format!("{record:?}");
        let kind = text.split_once(" {").map_or(text.as_str(), |(kind, _)| kind);
        let terminal = record.terminal();
        let moved = effects(&record);
        format!("{place}, {at_ms} ms: terminal {terminal} {key:?} {kind}: {taken:?}, stands now: {stands} {moved}")
    };
    world.store.register.filed().into_iter().map(line).collect()
}

/// What a record used up and gave back.
fn effects(record: &Record) -> String {
    let returned = match record.plain() {
        Record::Reversal(reversal) => reversal.returned.clone(),
        Record::GiveBack(give_back) => give_back.returned.iter().cloned().collect(),
        Record::UploadEnd(end) => end.returned.clone(),
        _ => Vec::new(),
    };
    let holder = swipe_of(record).and_then(|swipe| swipe.capsule.facts.card).map(|card| card.holder_no.0);
    let uses = swipe_of(record).map(|swipe| swipe.verdict.uses.iter().map(|used| used.benefit.0).collect::<Vec<_>>());
    let returned = returned.iter().map(|effects| (effects.holder_no.0, effects.uses.iter().map(|used| used.benefit.0)));
    let returned: Vec<_> = returned.map(|(holder, uses)| (holder, uses.collect::<Vec<_>>())).collect();
    format!("holder {holder:?} used {uses:?}, returned {returned:?}")
}

/// Records by their places.
pub type Records = BTreeMap<Place, Record>;

/// What is on the disks; each an unbroken chain, and the same in the store.
fn journals(world: &World) -> Records {
    let mut records = Records::new();
    for node in &world.nodes {
        let groups = node.disk.groups();
        let copy = world.store.register.journal(node.number);
        if copy != groups {
            let same = copy.iter().zip(&groups).take_while(|(copy, group)| copy == group).count();
            let (copy, groups) = (copy.len(), groups.len());
            world.stage.violated(format!(
                "node {}'s journal has {groups} groups, the store's copy {copy}: the first {same} are the same",
                node.number
            ));
        }
        let mut follower = Follower::new(node.number);
        for (group, hash) in &groups {
            let read = follower.follow(group, *hash).and_then(|()| group.decode());
            match read {
                Ok(read) => records
                    .extend(read.into_iter().map(|(sequence, record)| (Place::new(node.number, sequence), record))),
                Err(fault) => return fail(world, format!("node {}'s journal: {fault}", node.number), records),
            }
        }
    }
    records
}

fn fail(world: &World, what: String, records: Records) -> Records {
    world.stage.violated(what);
    records
}

/// An answer that left has its record, which says the same, and stands.
fn is_recorded(stage: &Stage, seen: &Seen, records: &HashMap<u64, (Place, &Record)>, filed: &HashMap<Place, Filed>) {
    let Seen { terminal, batch, stan, mti, told, .. } = seen;
    let what = format!("terminal {terminal}, batch {batch}, STAN {stan}, {mti}, told {}", told.code);
    let reference = std::str::from_utf8(&told.reference).ok().and_then(|digits| digits.parse::<u64>().ok());
    let Some((place, record)) = reference.and_then(|reference| records.get(&reference)) else {
        return stage.violated(format!("{what}: the answer isn't recorded"));
    };
    let same = record.asked().is_some_and(|asked| {
        let key = asked.key;
        (key.terminal.0, key.batch, key.stan, key.mti) == (people::terminal_id(*terminal), *batch, *stan, *mti)
    });
    if !same || !agrees(record, seen) {
        stage.violated(format!("{what}: its record {place} says something else"));
    }
    match filed.get(place) {
        None => stage.violated(format!("{what}: its record {place} isn't in the store")),
        Some(filed) if filed.stands => {}
        // It was answered while the store was away, and another node had answered the same.
        Some(Filed { taken: Taken::Lost(WithdrawnFor::Doubled), record: Record::StandIn(_), .. }) => {}
        Some(filed) => stage.violated(format!("{what}: its record {place} doesn't stand: {:?}", filed.taken)),
    }
}

fn swipe_of(record: &Record) -> Option<&Swipe> {
    match record.plain() {
        Record::Swipe(swipe) => Some(swipe),
        Record::Offline(offline) => Some(&offline.swipe),
        _ => None,
    }
}

fn agrees(record: &Record, seen: &Seen) -> bool {
    let told = &seen.told;
    if told.stand_in != matches!(record, Record::StandIn(_)) && told.decision_id.is_some() {
        return false;
    }
    let Some(swipe) = swipe_of(record) else { return true };
    // An inquiry repeats the amount it asked about.
    let price = swipe.verdict.entitlement.price.as_ref().filter(|_| swipe.capsule.ask.kind == AskKind::Purchase);
    let payable = price.map(|price| price.payable().0);
    Some(swipe.capsule.id.0) == told.decision_id && (payable.is_none() || payable == told.amount_fen)
}

/// At most one record of a request stands.
fn stands_once(stage: &Stage, filed: &HashMap<Place, Filed>) {
    let mut standing = BTreeMap::new();
    let mut all: Vec<&Filed> = filed.values().filter(|filed| filed.stands).collect();
    all.sort_by_key(|filed| filed.place);
    for filed in all {
        // Reversals are recorded as often as they come with other content.
        let key = filed.record.asked().map(|asked| asked.key).filter(|key| key.mti != 400);
        if let Some(other) = key.and_then(|key| standing.insert(key, filed.place)) {
            stage.violated(format!("records {other} and {} of one request both stand", filed.place));
        }
    }
}

/// By the slips that holders have: no benefit was given more often, or for more, than it may be.
fn within_limits(stage: &Stage, slips: &[Slip]) {
    let standing = || slips.iter().filter(|slip| slip.stands && !slip.unclear);
    let mut daily = BTreeMap::<(u32, u16), u32>::new();
    for slip in standing().filter(|slip| slip.told.benefits.contains(&people::DAILY.0)) {
        *daily.entry((slip.holder, slip.told.mmdd)).or_default() += 1;
    }
    for ((holder, day), uses) in daily.into_iter().filter(|(_, uses)| *uses > people::PER_DAY) {
        let told: Vec<_> =
            standing().filter(|slip| slip.holder == holder).map(|slip| (&slip.told, slip.place())).collect();
        stage.violated(format!("holder {holder} used benefit {} {uses} times on {day}: {told:?}", people::DAILY));
    }
    let uses = standing().filter(|slip| slip.told.benefits.contains(&people::BUDGET.0)).count() as u64;
    if uses * people::BUDGET_OFF_FEN > people::BUDGET_FEN {
        stage.violated(format!(
            "the budget of {} fen gave {uses} times {}",
            people::BUDGET_FEN,
            people::BUDGET_OFF_FEN
        ));
    }
    let limited = [people::DAILY.0, people::BUDGET.0];
    for slip in slips.iter().filter(|slip| slip.told.stand_in) {
        if slip.told.benefits.iter().any(|benefit| limited.contains(benefit)) {
            stage.violated(format!("a stand-in answer gave a limited benefit: {:?}", slip.told));
        }
    }
}

/// The same capsule gives the same verdict.
fn decided_again(stage: &Stage, records: &Records) {
    let mut books = BTreeMap::new();
    for (place, record) in records {
        let same = match (swipe_of(record), record.plain()) {
            (Some(swipe), _) => {
                let capsule = &swipe.capsule;
                let book = books.entry(capsule.rules.0).or_insert_with(|| people::rules(capsule.rules.0));
                decide(&capsule.ask, &capsule.facts, book, capsule.at) == swipe.verdict
            }
            (None, Record::GiveBack(give_back)) => {
                judge_give_back(&give_back.ask, &give_back.facts, give_back.at) == give_back.outcome
            }
            _ => true,
        };
        if !same {
            stage.violated(format!("record {place} is decided otherwise when it is decided again"));
        }
    }
}

/// What was decided a second after a change, at a node with a fair line, was decided on it.
fn changes_in_force(world: &World, records: &Records) {
    let changes = world.changes.lock().clone();
    for (place, record) in records {
        let Some(swipe) = swipe_of(record) else { continue };
        let Some(node) = world.nodes.iter().find(|node| node.number == place.node()) else { continue };
        let Some(at) = node.true_time(swipe.capsule.at.epoch_ms) else { continue };
        let due = |when: &tokio::time::Instant| *when + IN_FORCE < at && node.line.was_fair(*when - GIVEN_UP, at);
        let known = changes.iter().filter(|(when, _)| due(when));
        let (mut star, mut rules) = (None, 1);
        for (_, change) in known {
            match change {
                Change::Star(number, level)
                    if swipe.capsule.facts.card.is_some_and(|card| card.holder_no == HolderNo(*number)) =>
                {
                    star = Some(*level);
                }
                Change::Star(..) => {}
                Change::Rules(version) => rules = *version,
            }
        }
        if swipe.capsule.rules.0 < rules {
            world
                .stage
                .violated(format!("record {place} was decided by {}, {rules} was in force", swipe.capsule.rules));
        }
        let later = |level: u8| {
            // A change that isn't due yet may be known already.
            changes.iter().any(|(when, change)| {
                let pending = *when < at + Duration::from_millis(5);
                let of = swipe.capsule.facts.card.is_some_and(
                    |card| matches!(change, Change::Star(number, to) if card.holder_no == HolderNo(*number) && *to == level),
                );
                pending && of && !due(when)
            })
        };
        let decided = swipe.capsule.facts.holder.map(|holder| holder.rated.level());
        if let (Some(star), Some(decided)) = (star, decided)
            && star != decided
            && !later(decided)
        {
            world.stage.violated(format!("record {place} was decided on {decided} stars, {star} was in force"));
        }
    }
}
