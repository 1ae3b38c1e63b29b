//! A sealed state of five pages, and a proof of each.
#![allow(dead_code)]

use std::sync::OnceLock;

use zqlite_pq::SigningKey;
use zqlite_pq::epoch::FileId;
use zqlite_pq::header::Expected;
use zqlite_pq::page::PageSize;
use zqlite_pq::seal::tree::{self, PathBuilder, Tree};
use zqlite_pq::seal::{Proof, Seal, State};

const PAGES: u32 = 5;

pub struct Honest {
    pub expected: Expected,
    pub seal: Seal,
    pub seal_bytes: Vec<u8>,
    pub proofs: Vec<Vec<u8>>,
}

pub fn honest() -> &'static Honest {
    static HONEST: OnceLock<Honest> = OnceLock::new();
    HONEST.get_or_init(make)
}

fn make() -> Honest {
    let file_id = FileId::from_bytes([9; 16]);
    let page = |number: u32| vec![number as u8; 4_096];
    let leaves: Vec<_> = (1..=PAGES)
        .map(|number| tree::leaf(&file_id, number, &page(number)))
        .collect();
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    let state = State {
        file_id,
        page_size: PageSize::MIN,
        pages: PAGES,
        generation: 1,
        revision: 2,
        header_hash: [3; 32],
        root: tree.root().expect("there are leaves"),
    };
    let key = SigningKey::from_seed([5; 32]);
    let seal = Seal::sign(state, 1_790_000_000, &key).expect("the backend signs");
    let proofs = (1..=PAGES)
        .map(|number| {
            let mut builder =
                PathBuilder::new(u64::from(number) - 1, PAGES.into()).expect("such a page");
            leaves.iter().for_each(|leaf| builder.push(*leaf));
            let (path, _) = builder.finish().expect("all leaves");
            let proof = Proof::new(&seal, number, page(number), path).expect("the root");
            proof.encode()
        })
        .collect();
    Honest {
        expected: Expected {
            key: key.verifying_key().clone(),
            file_id: None,
        },
        seal_bytes: seal.encode(),
        seal,
        proofs,
    }
}
