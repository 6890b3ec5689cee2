//! The program `cf`.

mod demo;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Talks to somebody, in private.
#[derive(Parser)]
#[command(name = "cf", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Print one JSON object a line, for scripts.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Watch Saro and Raya meet and talk, and what an observer sees of it.
    Demo,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Demo => demo::run(arguments.json).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cf: {error}");
            ExitCode::FAILURE
        }
    }
}
