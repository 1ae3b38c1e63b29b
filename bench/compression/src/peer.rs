//! What a coordinator knows of a machine, as JSON of about 1.2 KB: the same for the same seed.

use serde_json::{Value, json};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap_or_default();
        of.get(at).copied().unwrap_or_default()
    }
}

const OS: [(&str, &[&str]); 5] = [
    (
        "linux",
        &[
            "6.1.0-28-amd64",
            "6.8.0-51-generic",
            "5.15.0-130-generic",
            "6.6.74-v8+",
        ],
    ),
    (
        "windows",
        &["10.0.19045.5371", "10.0.22631.4751", "10.0.26100.2894"],
    ),
    ("macOS", &["14.7.2", "15.2.0", "15.3.1"]),
    ("iOS", &["17.7.2", "18.2.1", "18.3.0"]),
    ("android", &["13", "14", "15"]),
];
const ROLES: [&str; 10] = [
    "web", "db", "cache", "build", "laptop", "phone", "router", "nas", "gpu", "test",
];
const SITES: [&str; 8] = [
    "fra1", "nyc3", "sgp1", "lon1", "sfo2", "ams3", "blr1", "syd1",
];
const USERS: [&str; 12] = [
    "alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory",
    "peggy",
];
const DISTROS: [&str; 5] = ["debian", "ubuntu", "fedora", "arch", "alpine"];
const VERSIONS: [&str; 6] = ["1.76.6", "1.78.1", "1.78.3", "1.80.0", "1.80.2", "1.74.1"];

fn time(random: &mut Random) -> String {
    format!(
        "2025-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        1 + random.below(12),
        1 + random.below(28),
        random.below(24),
        random.below(60),
        random.below(60),
        random.below(1_000_000)
    )
}

/// The metadata of a machine.
pub(crate) fn metadata(id: u64, random: &mut Random) -> String {
    let at = usize::try_from(random.below(OS.len() as u64)).unwrap_or_default();
    let (os, releases) = OS.get(at).copied().unwrap_or(("linux", &["6.1"]));
    let (role, site, user) = (random.one(&ROLES), random.one(&SITES), random.one(&USERS));
    let host = format!("{role}-{site}-{:04}", random.below(10_000));
    let (a, b, c) = (64 + random.below(64), random.below(256), random.below(256));
    let port = 1_024 + random.below(60_000);
    let public = format!(
        "{}.{}.{}.{}",
        1 + random.below(222),
        random.below(256),
        random.below(256),
        random.below(256)
    );
    let latency: Value = (0..4)
        .map(|_| {
            let region = format!("{}-v4", 1 + random.below(26));
            (region, json!(random.below(200_000) as f64 / 1e6))
        })
        .collect();
    json!({
        "id": id,
        "stableId": format!("n{:011x}CNTRL", random.next() >> 20),
        "hostname": host,
        "fqdn": format!("{host}.tail{:04x}.ts.example.net.", random.below(16)),
        "user": format!("{user}@example.com"),
        "addresses": [format!("100.{a}.{b}.{c}/32"), format!("fd7a:115c:a1e0::{:x}:{:x}/128", random.below(65_536), random.below(65_536))],
        "allowedIPs": [format!("100.{a}.{b}.{c}/32")],
        "endpoints": [format!("{public}:{port}"), format!("192.168.{}.{}:41641", random.below(4), 2 + random.below(250)), format!("172.17.0.1:{port}")],
        "derp": format!("127.3.3.40:{}", 1 + random.below(26)),
        "hostinfo": {
            "os": os, "osVersion": random.one(releases), "distro": random.one(&DISTROS),
            "ipnVersion": random.one(&VERSIONS), "goArch": random.one(&["amd64", "arm64"]), "deviceModel": "",
            "container": random.below(10) == 0, "shieldsUp": false,
            "services": [{"proto": "peerapi4", "port": 1_024 + random.below(60_000)}, {"proto": "peerapi6", "port": 1_024 + random.below(60_000)}, {"proto": "peerapi-dns-proxy", "port": 1}],
            "netInfo": {"mappingVariesByDestIP": random.below(5) == 0, "workingUDP": true, "workingIPv6": random.below(2) == 0, "preferredDERP": 1 + random.below(26), "derpLatency": latency}
        },
        "tags": [format!("tag:{role}"), format!("tag:{site}")],
        "created": time(random), "lastSeen": time(random), "keyExpiry": time(random),
        "machineAuthorized": true, "online": random.below(4) != 0,
        "capabilities": ["https://example.com/cap/file-sharing", "https://example.com/cap/ssh", "https://example.com/cap/is-admin"]
    })
    .to_string()
}
