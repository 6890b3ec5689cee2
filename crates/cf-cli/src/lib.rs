//! The program `cf`, for whatever its clients are composed of.

mod arguments;
mod commands;
mod demo;
mod home;
mod passphrase;
mod picture;
mod place;
mod show;

use std::process::ExitCode;

use clap::Parser;

use arguments::Arguments;
use commands::Failure;

/// What the program's clients are composed of, beside what the home and the user say:
/// the stock components where it adds nothing.
pub type Compose = fn(cf::Builder) -> cf::Builder;

/// Does what the process's arguments say. Opens homes with clients that are composed so.
pub async fn run(compose: Compose) -> ExitCode {
    let Arguments { command, global } = Arguments::parse();
    tell(global.verbose);
    match commands::run(command, &global, compose).await {
        Ok(()) | Err(Failure::OutputGone) => ExitCode::SUCCESS,
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Failed(error)) => {
            eprintln!("cf: {}", show::harmless(&error.to_string()));
            ExitCode::FAILURE
        }
        Err(Failure::Usage(message)) => {
            eprintln!("cf: {message}");
            ExitCode::from(2)
        }
    }
}

/// Tells on standard error what happens.
fn tell(verbose: u8) {
    let level = match verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
