//! `xingka demo`: a city, its terminals, and what they see, in one command.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use serde_json::json;
use xingka_core::city::MerchantKind;
use xingka_core::money::Fen;
use xingka_server::Service;
use xingka_store::CityTerminal;
use xingka_terminal::{Swipe, Terminal};
use xingka_wire::mac::MacAlgorithm;
use xingka_wire::pan::Pan;

use super::deployment::{Deployment, plain};
use super::load::make_city;
use super::replay::{Replayed, replay};
use super::{JsonArg, output};
use crate::city_maker::Size;
use crate::line::{self, Line, Seen};

/// Watch a made-up city's shops, halls and bank branches swipe its cards
#[derive(Args)]
#[command(after_help = "Example: xingka demo --swipes 40\n\n\
    Makes a synthetic city in a new temporary folder, starts everything on loopback, swipes over real TCP, \
    prints what each terminal saw, and decides all recorded swipes again. --keep leaves it running.")]
pub struct Demo {
    /// Holders in the city, each with a card
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    holders: u32,
    /// Swipes to make
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    swipes: u32,
    /// Which city, and which swipes
    #[arg(long, default_value_t = 8583)]
    seed: u64,
    /// Leave it running, and say how to try it
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// Swipes shown in the table; all of them are in the JSON.
const ROWS_SHOWN: usize = 40;

const PLACES: Size = Size { holders: 0, shops: 6, halls: 2, terminals_each: 2, macs: MacAlgorithm::ALL };

/// One swipe and where it was made.
#[derive(Serialize)]
struct AtPlace {
    place: &'static str,
    amount_fen: Option<u64>,
    #[serde(flatten)]
    seen: Seen,
}

impl Demo {
    pub async fn run(self) -> Result<ExitCode> {
        let begun = Instant::now();
        let folder = tempfile::Builder::new().prefix("xingka-demo-").tempdir().context("making a temporary folder")?;
        let size = Size { holders: self.holders as usize, ..PLACES };
        let (deployment, cards) = make_city(folder.path(), size, self.seed).await?;
        let terminals = deployment.store.terminals().await?;
        let mut counters = Vec::new();
        for known in &terminals {
            counters.push(Counter { kind: known.terminal.merchant.kind, terminal: open(&deployment, known)? });
        }
        let config = deployment.config.file.clone();
        let service = deployment.start().await?;
        let mut city = City { counters, cards, random: fastrand::Rng::with_seed(self.seed) };
        let swipes = city.swipe(&service, self.swipes, begun).await;
        let (answers, first_answer_ms) = match swipes {
            Ok(swipes) => swipes,
            Err(error) => {
                service.stop().await?;
                return Err(error);
            }
        };
        let replayed = replay(&Deployment::open(&config).await?, i64::MIN, i64::MAX).await?;
        self.show(&service, &answers, first_answer_ms, &replayed)?;
        if self.keep {
            let kept = folder.keep();
            leave_running(&kept, &config, &city, &service, &terminals).await?;
        }
        service.stop().await?;
        ensure!(replayed.differences.is_empty(), "{} swipes were decided otherwise again", replayed.differences.len());
        Ok(ExitCode::SUCCESS)
    }

    fn show(&self, service: &Service, answers: &[AtPlace], first_answer_ms: u128, replayed: &Replayed) -> Result<()> {
        let address = plain(service)?.to_string();
        if self.json.json {
            return output::json(&json!({
                "holders": self.holders,
                "swipes": answers.len(),
                "answers": answers,
                "addresses": { "switch": address },
                "first_answer_ms": first_answer_ms,
                "replayed": replayed.swipes,
                "differences": replayed.differences.len(),
            }));
        }
        output::line(format_args!("a city of {} holders, its switch at {address}", self.holders));
        output::line(table(answers));
        if answers.len() > ROWS_SHOWN {
            output::line(format_args!("… and {} more", answers.len() - ROWS_SHOWN));
        }
        let mut micros: Vec<u64> = answers.iter().map(|answer| answer.seen.micros).collect();
        micros.sort_unstable();
        let (half, most) = (micros.get(micros.len() / 2), micros.last());
        output::line(format_args!(
            "{} swipes; half of them answered, recorded and back within {} µs, the slowest {} µs; the first {first_answer_ms} ms after the start",
            answers.len(),
            half.unwrap_or(&0),
            most.unwrap_or(&0)
        ));
        let Replayed { swipes, differences } = replayed;
        output::line(format_args!("replayed from the journal: {swipes} swipes, {} differences", differences.len()));
        Ok(())
    }
}

fn open(deployment: &Deployment, known: &CityTerminal) -> Result<Terminal> {
    line::terminal(known, &deployment.master, 1)
}

/// A terminal and the kind of place it stands in.
struct Counter {
    kind: MerchantKind,
    terminal: Terminal,
}

struct City {
    counters: Vec<Counter>,
    cards: Vec<String>,
    random: fastrand::Rng,
}

impl City {
    /// Signs the terminals in and swipes at one kind of place after the other.
    async fn swipe(&mut self, service: &Service, swipes: u32, begun: Instant) -> Result<(Vec<AtPlace>, u128)> {
        let mut lines = Vec::new();
        for counter in &mut self.counters {
            let mut line = Line::connect(plain(service)?, None).await?;
            line.sign_in(&mut counter.terminal).await?;
            lines.push(line);
        }
        let mut answers = Vec::new();
        let mut first_answer_ms = 0;
        for number in 0..swipes as usize {
            let at = self.next_counter(number);
            answers.push(self.swipe_at(at, &mut lines[at]).await?);
            if number == 0 {
                first_answer_ms = begun.elapsed().as_millis();
            }
        }
        Ok((answers, first_answer_ms))
    }

    /// Shops twice as often as halls and banks.
    fn next_counter(&mut self, number: usize) -> usize {
        let wanted =
            [MerchantKind::Merchant, MerchantKind::Hall, MerchantKind::Merchant, MerchantKind::Bank][number % 4];
        let places: Vec<usize> = (0..self.counters.len()).filter(|at| self.counters[*at].kind == wanted).collect();
        places[self.random.usize(..places.len())]
    }

    async fn swipe_at(&mut self, at: usize, line: &mut Line) -> Result<AtPlace> {
        let pan = &self.cards[self.random.usize(..self.cards.len())];
        let card = Swipe::of(Pan::from_ascii(pan.as_bytes()).context("a made card has digits")?);
        let Counter { kind, terminal } = &mut self.counters[at];
        let amount = self.random.u64(10..=600) * 50;
        let (place, amount_fen) = match kind {
            MerchantKind::Merchant => ("shop", Some(amount)),
            MerchantKind::Hall => ("hall", None),
            MerchantKind::Bank => ("bank branch", None),
        };
        let seen = line
            .swipe(terminal, |terminal, frame| match kind {
                MerchantKind::Merchant => terminal.purchase(&card, amount, frame),
                MerchantKind::Hall => terminal.counter_service(&card, frame),
                MerchantKind::Bank => terminal.star_inquiry(&card, None, frame),
            })
            .await?;
        Ok(AtPlace { place, amount_fen, seen })
    }
}

fn table(answers: &[AtPlace]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header(["place", "what the terminal saw", "code", "amount", "to pay", "priority", "µs"]);
    let money = |fen: Option<u64>| fen.map_or(String::new(), |fen| Fen(fen).to_string());
    for AtPlace { place, amount_fen, seen } in answers.iter().take(ROWS_SHOWN) {
        table.add_row([
            (*place).to_owned(),
            seen.text.clone().unwrap_or_default(),
            seen.code.clone(),
            money(*amount_fen),
            money(seen.payable_fen),
            seen.priority.map_or(String::new(), |priority| priority.to_string()),
            seen.micros.to_string(),
        ]);
    }
    for column in [3, 4, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Waits to be interrupted, after saying how to try it.
async fn leave_running(
    folder: &Path,
    config: &Path,
    city: &City,
    service: &Service,
    terminals: &[CityTerminal],
) -> Result<()> {
    let shop = terminals.iter().find(|known| known.terminal.merchant.kind == MerchantKind::Merchant);
    let terminal = shop.map_or(String::new(), |known| known.terminal.id.to_string());
    let card = city.cards.first().map_or("", String::as_str);
    eprintln!("running at {} from {}; end it with Ctrl-C, then remove the folder", plain(service)?, folder.display());
    eprintln!(
        "try: xingka swipe --terminal {terminal} --pan {card} --amount 128 --host {} --config {}",
        plain(service)?,
        config.display()
    );
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}
