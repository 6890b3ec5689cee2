use bytes::Bytes;
use cf_core::{Batch, ErrorKind, Scan};

use super::StoreUnderTest;
use super::law::{NAMESPACES, NUMBERED};
use crate::Verdict;
use crate::law::ensure;

/// Names and keys that together are the same bytes, empty ones, and values of
/// any bytes stay apart.
///
/// # Errors
/// The violation, if there is one.
pub fn namespaces_are_apart_and_their_keys_opaque(at: StoreUnderTest) -> Verdict {
    let law = &NAMESPACES;
    let store = at.open();
    let every: Vec<u8> = (0..=255).collect();
    let places: [(&[u8], &[u8]); 12] = [
        (b"", b""),
        (b"", b"ab"),
        (b"a", b"b"),
        (b"ab", b""),
        (b"a\0", b"b"),
        (b"a", b"\0b"),
        (b"a/b", b"c"),
        (b"a", b"/b/c"),
        (b"%", b"_"),
        (b"a'b", b"\"; --"),
        (&[255], &[0xc3, 0x28]),
        (b"every", &every),
    ];
    for (number, (namespace, key)) in places.iter().enumerate() {
        let mut batch = Batch::default();
        let value = [&[number as u8], &every[..]].concat();
        batch.put(namespace.to_vec(), key.to_vec(), value);
        law.needs("a commit", store.commit(&batch))?;
    }
    let mut empty = Batch::default();
    empty.put("value", "empty", "");
    law.needs("a commit", store.commit(&empty))?;
    law.needs("an empty commit", store.commit(&Batch::default()))?;
    let found = law.needs("reading a key", store.get(b"value", b"empty"))?;
    ensure!(
        law,
        found == Some(Bytes::new()),
        "an empty value is {found:?}"
    );
    for (number, (namespace, key)) in places.iter().enumerate() {
        let value = Bytes::from([&[number as u8], &every[..]].concat());
        let found = law.needs("reading a key", store.get(namespace, key))?;
        ensure!(
            law,
            found == Some(value),
            "{key:?} in {namespace:?} is not what was put"
        );
        let found = law.needs("a scan", store.scan(namespace, &Scan::prefix("")))?;
        let due = places
            .iter()
            .filter(|(other, _)| other == namespace)
            .count();
        ensure!(
            law,
            found.len() == due,
            "{namespace:?} has {} keys, not {due}",
            found.len()
        );
    }
    Ok(())
}

/// A namespace whose name starts with `#` takes keys of eight bytes, in the order of
/// the numbers, and no others.
///
/// # Errors
/// The violation, if there is one.
pub fn a_numbered_namespace_takes_numbers_only(at: StoreUnderTest) -> Verdict {
    let law = &NUMBERED;
    let store = at.open();
    let numbers = [
        0,
        1,
        2,
        255,
        256,
        65_536,
        u64::from(u32::MAX) + 1,
        i64::MAX as u64 + 1,
        u64::MAX,
    ];
    for number in numbers.iter().rev() {
        let mut batch = Batch::default();
        batch.put("#log", number.to_be_bytes().to_vec(), number.to_string());
        law.needs("a commit", store.commit(&batch))?;
    }
    for len in [0, 1, 7, 9, 16] {
        let mut put = Batch::default();
        put.put("#log", vec![0; len], "value");
        let mut delete = Batch::default();
        delete.delete("#log", vec![0; len]);
        for batch in [put, delete] {
            let kind = store.commit(&batch).err().map(|error| error.kind());
            ensure!(
                law,
                kind == Some(ErrorKind::Misuse),
                "a key of {len} bytes gave {kind:?}"
            );
        }
    }
    drop(store);
    let store = at.open();
    let after = Scan {
        beyond: Some(Bytes::copy_from_slice(&256u64.to_be_bytes())),
        ..Scan::prefix("")
    };
    let reverse = Scan {
        reverse: true,
        limit: 2,
        ..Scan::prefix("")
    };
    let all = &numbers[..];
    let backwards = [u64::MAX, i64::MAX as u64 + 1];
    for (scan, due) in [
        (Scan::prefix(""), all),
        (after, &all[5..]),
        (reverse, &backwards),
    ] {
        let found = law.needs("a scan", store.scan(b"#log", &scan))?;
        let due: Vec<_> = due
            .iter()
            .map(|number| {
                let key = Bytes::copy_from_slice(&number.to_be_bytes());
                (key, Bytes::from(number.to_string()))
            })
            .collect();
        ensure!(law, found == due, "{scan:?} gave {found:?}, not {due:?}");
    }
    Ok(())
}
