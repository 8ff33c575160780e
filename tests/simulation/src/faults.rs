//! What goes wrong, when.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until};
use xingka_core::ids::HolderNo;
use xingka_store::News;

use crate::disk::Mood;
use crate::line::Weather;
use crate::nodes::SimulatedNode;
use crate::people;
use crate::world::{Change, Storm, World};

/// Things go wrong until then, in ones and twos; after that nothing does.
pub async fn until(world: Arc<World>, end: Instant) {
    while Instant::now() < end {
        sleep(world.chance.millis(300, 4_000)).await;
        let lasts = world.chance.millis(200, 8_000);
        let fault = something(world.clone(), lasts);
        if world.chance.happens(30) {
            tokio::spawn(fault);
        } else {
            fault.await;
        }
    }
    // The last of them have ended.
    sleep_until(end + Duration::from_secs(20)).await;
    for node in &world.nodes {
        node.disk.set(Mood::Well);
        node.line.set(Weather::Fair);
        node.start().await;
    }
    world.lines.set(Storm::default());
    world.stage.heal();
}

async fn something(world: Arc<World>, lasts: Duration) {
    let Some(node) = world.chance.one_of(&world.nodes).cloned() else { return };
    match world.chance.number(0..12) {
        0 | 1 => crash(&world, &node, lasts).await,
        2 => on_line(&[node], Weather::Refused, lasts).await,
        3 => on_line(&[node], Weather::Silent, lasts).await,
        4 => on_line(&world.nodes, Weather::Refused, lasts).await,
        5 => on_line(&world.nodes, Weather::Silent, lasts).await,
        6 => {
            let slow = Weather::Slow(world.chance.millis(50, 3_000));
            on_line(&world.nodes, slow, lasts).await;
        }
        7 => on_disk(&node, Mood::Full, lasts).await,
        8 => on_disk(&node, Mood::Lying, lasts).await,
        9 => on_disk(&node, Mood::Slow(world.chance.millis(20, 4_000)), lasts).await,
        10 => {
            let late_ms = world.chance.number(0..2_000) as u64;
            world.lines.set(Storm { lost: 10, doubled: 20, late_ms });
            sleep(lasts).await;
            world.lines.set(Storm { lost: 1, doubled: 3, late_ms: 5 });
        }
        _ => {
            // A clock is set while its node is down.
            let skew = world.chance.number(0..6_000) as i64 - 3_000;
            node.set_skew(SignedDuration::from_millis(skew));
            crash(&world, &node, Duration::from_millis(200)).await;
        }
    }
}

async fn crash(world: &World, node: &SimulatedNode, lasts: Duration) {
    world.crash(node);
    sleep(lasts).await;
    node.start().await;
}

async fn on_line(nodes: &[Arc<SimulatedNode>], weather: Weather, lasts: Duration) {
    nodes.iter().for_each(|node| node.line.set(weather));
    sleep(lasts).await;
    nodes.iter().for_each(|node| node.line.set(Weather::Fair));
}

async fn on_disk(node: &SimulatedNode, mood: Mood, lasts: Duration) {
    node.disk.set(mood);
    sleep(lasts).await;
    node.disk.set(Mood::Well);
}

/// Somebody changes stars and rule books, as long as the world turns.
pub async fn changes(world: Arc<World>) {
    for version in 2.. {
        sleep(world.chance.millis(500, 6_000)).await;
        let (change, news) = if world.chance.happens(70) {
            let number = world.chance.number(0..people::HOLDERS as usize) as u32;
            let star = world.chance.number(1..=5) as u8;
            let holders = vec![(HolderNo(number), people::holder(star))];
            (Change::Star(number, star), News { holders, ..News::default() })
        } else {
            let rules = people::rules(version);
            world.store.register.put_rules(rules.clone());
            (Change::Rules(version), News { rules: Some(rules), ..News::default() })
        };
        world.changes.lock().push((Instant::now(), change));
        world.store.news.lock().push(news);
    }
}
