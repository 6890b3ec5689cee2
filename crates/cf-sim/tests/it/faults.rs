//! The simulation finds what is wrong: every seeded fault, within few lives.

use cf_sim::{Soak, in_memory};

use crate::towns;

/// Has this thread make a fault, in whichever crate knows it.
fn choose(fault: Option<&'static str>) {
    cf_client::fault::choose(fault);
    cf_conversation::fault::choose(fault);
}

#[test]
fn every_fault_is_found() {
    let soak = Soak::from_env(50);
    let all = [cf_client::fault::ALL, cf_conversation::fault::ALL].concat();
    assert!(all.len() >= 10, "there are {} faults", all.len());
    let towns = [
        ("stock", towns::stock as fn(&mut _) -> _),
        ("bare", towns::bare),
    ];
    // A fault may show by a panic, which is a finding like others.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for fault in all {
        choose(Some(fault));
        let lives = soak
            .seeds()
            .flat_map(|seed| towns.map(|(name, town)| (seed, name, town)));
        let mut found = lives.filter_map(|(seed, name, town)| {
            let violation = in_memory(town)(seed, false).err()?;
            Some(format!("{name}, seed {seed}: {}", violation.what))
        });
        match found.next() {
            Some(found) => println!("{fault}: {found}"),
            None => missed.push(fault),
        }
        choose(None);
    }
    std::panic::set_hook(hook);
    assert!(
        missed.is_empty(),
        "not found within {} lives: {missed:?}",
        soak.seeds().count()
    );
}
