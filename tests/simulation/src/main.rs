//! Runs seeds, some at a time, and says which of them ended badly.
#![allow(clippy::print_stdout, reason = "a program for terminals")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use anyhow::Result;
use clap::Parser;
use parking_lot::Mutex;
use xingka_simulation::{Outcome, Size, run};

/// The city in one process, on simulated time
#[derive(Parser)]
struct Cli {
    /// So many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// From this one on
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plant this bug, or `all` one after the other: each has to be found by its kept seed, or by one of
    /// these
    #[arg(long, value_name = "BUG")]
    plant: Option<String>,
    /// Print what came into the store, too
    #[arg(long)]
    trace: bool,
    /// Print what happened as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> Result<ExitCode> {
    let cli = Cli::parse();
    if let Some(bug) = &cli.plant {
        return planted::find(bug, &cli);
    }
    let outcomes = run_all(&cli, false)?;
    let bad: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).collect();
    if cli.json {
        print_json(&outcomes, &bad)
    } else {
        print(&outcomes, &bad)
    }
    Ok(if bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(feature = "planted")]
mod planted {
    use std::process::ExitCode;

    use anyhow::{Result, bail};
    use xingka_core::planted::{Bug, plant};
    use xingka_simulation::{Size, run};

    use super::{Cli, run_all};

    const CAUGHT_BY: &str = include_str!("../caught-by.txt");

    /// Plants a bug, or each, and has it found.
    pub fn find(name: &str, cli: &Cli) -> Result<ExitCode> {
        let bugs: Vec<Bug> = Bug::ALL.iter().copied().filter(|bug| name == "all" || bug.name() == name).collect();
        if bugs.is_empty() {
            let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.name()).collect();
            bail!("there is no bug {name}: choose `all`, or one of {}", names.join(", "));
        }
        let mut missed = false;
        for bug in bugs {
            plant(bug);
            missed |= !is_found(bug, cli)?;
        }
        Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn is_found(bug: Bug, cli: &Cli) -> Result<bool> {
        let kept = CAUGHT_BY.lines().filter_map(|line| line.split_once(' ')).find(|(name, _)| *name == bug.name());
        let kept = kept.and_then(|(_, seed)| seed.parse::<u64>().ok());
        let by_kept = match kept {
            Some(seed) => Some(run(seed, Size::default())?).filter(|outcome| !outcome.violations.is_empty()),
            None => None,
        };
        let found = match by_kept {
            Some(outcome) => Some(outcome),
            None => run_all(cli, true)?.into_iter().find(|outcome| !outcome.violations.is_empty()),
        };
        match &found {
            Some(outcome) => {
                let what = outcome.violations.first().map(|what| what.chars().take(150).collect::<String>());
                println!("{}: found by seed {}: {}", bug.name(), outcome.seed, what.unwrap_or_default());
            }
            None => println!("{}: NOT FOUND by seed {kept:?} nor by {} seeds", bug.name(), cli.seeds),
        }
        Ok(found.is_some())
    }
}

#[cfg(not(feature = "planted"))]
mod planted {
    use std::process::ExitCode;

    use anyhow::{Result, bail};

    use super::Cli;

    pub fn find(_: &str, _: &Cli) -> Result<ExitCode> {
        bail!("this build has no bugs to plant: build it with `--features planted`")
    }
}

/// Runs the seeds; `until_found`: ends where one has found something.
fn run_all(cli: &Cli, until_found: bool) -> Result<Vec<Outcome>> {
    let (next, found) = (AtomicU64::new(cli.from), AtomicBool::new(false));
    let outcomes = Mutex::new(Vec::new());
    let threads = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= cli.from + cli.seeds || (until_found && found.load(Ordering::Relaxed)) {
                        return;
                    }
                    if let Ok(outcome) = run(seed, Size { trace: cli.trace, ..Size::default() }) {
                        found.fetch_or(!outcome.violations.is_empty(), Ordering::Relaxed);
                        outcomes.lock().push(outcome);
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner();
    outcomes.sort_by_key(|outcome| outcome.seed);
    Ok(outcomes)
}

fn print(outcomes: &[Outcome], bad: &[&Outcome]) {
    for outcome in bad {
        println!("seed {}:", outcome.seed);
        outcome.violations.iter().take(8).for_each(|violation| println!("  {violation}"));
    }
    outcomes.iter().flat_map(|outcome| &outcome.trace).for_each(|line| println!("  {line}"));
    let sum = |count: fn(&Outcome) -> u64| outcomes.iter().map(count).sum::<u64>();
    println!(
        "{} seeds: {} answers, {} of them by stand-ins, {} unanswered, {} refused (91: {}, 96: {}, 77 or A0: {}), \
         {} crashes, {} told twice otherwise after a stand-in; {} seeds violated something",
        outcomes.len(),
        sum(|outcome| outcome.counts.answered),
        sum(|outcome| outcome.counts.stand_ins),
        sum(|outcome| outcome.counts.unanswered),
        sum(|outcome| outcome.counts.refused_away + outcome.counts.refused_unrecorded + outcome.counts.refused_keys),
        sum(|outcome| outcome.counts.refused_away),
        sum(|outcome| outcome.counts.refused_unrecorded),
        sum(|outcome| outcome.counts.refused_keys),
        sum(|outcome| outcome.counts.crashes),
        sum(|outcome| outcome.counts.doubled),
        bad.len(),
    );
}

fn print_json(outcomes: &[Outcome], bad: &[&Outcome]) {
    let answers: u64 = outcomes.iter().map(|outcome| outcome.counts.answered).sum();
    let bad: Vec<_> = bad
        .iter()
        .map(|outcome| serde_json::json!({ "seed": outcome.seed, "violations": outcome.violations }))
        .collect();
    println!("{}", serde_json::json!({ "seeds": outcomes.len(), "answers": answers, "bad": bad }));
}
