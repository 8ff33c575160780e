//! When answers would come too late, those who can wait longest are told so first.
//!
//! The journal's file is locked by somebody else meanwhile, so that no record is committed and
//! what waits for one grows older: pressure without any load.

mod support;

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::{Connection, Executor, SqliteConnection};
use support::{Deployment, PORTS, Serving, Till, Told, exchange, pan, read_frame};
use xingka_terminal::{Reversible, Swipe, Totals};
use xingka_wire::pan::Pan;

/// Long enough that the pressure of one class is far from the next one's.
const DEADLINE_MS: u32 = 8_000;

const HALL: usize = 6;
const BANK: usize = 7;

/// Nobody else can commit to the journal until this is dropped.
struct Locked {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Locked {
    fn new(journal: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let connection = runtime.block_on(async {
            let mut connection = SqliteConnection::connect(&format!("sqlite:{}", journal.display())).await.unwrap();
            connection.execute("BEGIN IMMEDIATE").await.unwrap();
            connection
        });
        Self { runtime, connection: Some(connection) }
    }

    fn release(mut self) {
        let connection = self.connection.take().unwrap();
        self.runtime.block_on(connection.close()).unwrap();
    }
}

fn card() -> Swipe<'static> {
    Swipe::of(Pan::from_ascii(pan(3).as_bytes()).unwrap())
}

fn wait_for_pressure(serving: &Serving, eighths: u32) {
    let wanted = f64::from(DEADLINE_MS * eighths / 8) / 1_000.0;
    let until = Instant::now() + Duration::from_secs(60);
    while serving.metric("xingka_pressure_seconds") <= wanted {
        assert!(Instant::now() < until, "the pressure never grew to {wanted} s");
    }
}

#[test]
fn reports_are_shed_first_and_reversals_last() {
    let deployment = Deployment::with_city();
    deployment.configure(&format!("{PORTS}answer_deadline_ms = {DEADLINE_MS}\n"));
    let serving = deployment.serve();
    let [mut first, mut shop, mut hall, mut bank] = [0, 1, HALL, BANK].map(|at| Till::signed_in(serving.address, at));
    let (sale, sale_frame) = shop.purchase(&pan(3), 1_000);
    assert_eq!(shop.ask(&sale, &sale_frame).code, "00");

    let locked = Locked::new(&deployment.dir().join("data/journal.db"));
    let (waits, frame) = first.purchase(&pan(3), 1_000);
    first.stream.write_all(&frame).unwrap();
    wait_for_pressure(&serving, 1);
    let (sent, frame) = shop.write(|terminal, frame| terminal.settle(Totals::default(), frame));
    assert_eq!(shop.ask(&sent, &frame).code, "91", "a settlement");
    wait_for_pressure(&serving, 2);
    let (sent, frame) = bank.write(|terminal, frame| terminal.counter_service(&card(), frame));
    assert_eq!(bank.ask(&sent, &frame).code, "91", "at the bank");
    wait_for_pressure(&serving, 3);
    let (sent, frame) = hall.write(|terminal, frame| terminal.counter_service(&card(), frame));
    assert_eq!(hall.ask(&sent, &frame).code, "91", "at the hall");
    wait_for_pressure(&serving, 4);
    let (sent, frame) = shop.purchase(&pan(3), 1_000);
    assert_eq!(shop.ask(&sent, &frame).code, "91", "at the shop");
    let (reversal, reversal_frame) = shop
        .write(|terminal, frame| terminal.reverse((&sale, Reversible::Purchase), &card(), Some(1_000), *b"98", frame));
    shop.stream.write_all(&reversal_frame).unwrap();
    // Answered by no one before it is recorded; its place in the queue shows that it was taken.
    let echo = Till::connect(serving.address, 2).write(|terminal, frame| terminal.echo(frame));
    let mut quiet = Till::connect(serving.address, 2);
    exchange(&mut quiet.stream, &echo.1);
    locked.release();

    let answer = read_frame(&mut shop.stream).unwrap();
    assert_eq!(Told::read(&shop.terminal, &reversal, &answer).code, "00", "a reversal is served");
    let answer = read_frame(&mut first.stream).unwrap();
    assert_eq!(Told::read(&first.terminal, &waits, &answer).code, "00", "in time after all");
    for class in ["report", "bank", "hall", "pos"] {
        assert_eq!(serving.metric(&format!("xingka_shed_total{{class=\"{class}\"}}")), 1.0, "{class}");
    }
    assert_eq!(serving.metric("xingka_shed_total{class=\"reversal\"}"), 0.0);
    // What was shed changed nothing: the same frame is decided now that the pressure is gone.
    let until = Instant::now() + Duration::from_secs(60);
    while serving.metric("xingka_pressure_seconds") > 0.5 {
        assert!(Instant::now() < until, "the pressure stays");
    }
    assert_eq!(shop.ask(&sent, &frame).code, "00");
}
