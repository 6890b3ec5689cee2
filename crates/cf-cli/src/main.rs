//! The program `cf`: of the stock components.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    cf_cli::run(|stock| stock).await
}
