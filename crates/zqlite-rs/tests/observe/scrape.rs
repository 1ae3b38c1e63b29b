//! The endpoint, over HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use zqlite::observe::{self, Exporter, Recorder};
use zqlite::{Error, ErrorKind};

use crate::alone;
use crate::exposition::{self, Exposition};

/// An address of this machine, with a port that the operating system chooses.
pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

pub(crate) fn request(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

pub(crate) fn scrape(exporter: &Exporter) -> Exposition {
    let answer = request(
        exporter.address(),
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    assert!(head.contains(&format!("content-length: {}", body.len())));
    exposition::read(body).unwrap()
}

#[test]
fn only_reads_of_the_one_path_are_answered() {
    let exporter = observe::serve(anywhere()).unwrap();
    let status = |line: &str| {
        let answer = request(
            exporter.address(),
            &format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        );
        answer.lines().next().unwrap().to_owned()
    };
    assert_eq!(status("GET /metrics"), "HTTP/1.1 200 OK");
    assert_eq!(status("GET /metrics?x=y"), "HTTP/1.1 200 OK");
    assert_eq!(status("HEAD /metrics"), "HTTP/1.1 200 OK");
    assert_eq!(status("POST /metrics"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status("GET /"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("GET /../etc/passwd"), "HTTP/1.1 404 Not Found");
    let nonsense = request(exporter.address(), "\u{1}\u{2} nonsense\r\n\r\n");
    assert!(nonsense.starts_with("HTTP/1.1 400 "), "{nonsense}");
    assert_eq!(status("GET /metrics"), "HTTP/1.1 200 OK");
}

#[test]
fn a_taken_address_is_a_typed_error_and_leaves_the_other_in_peace() {
    let other = TcpListener::bind(anywhere()).unwrap();
    let taken = other.local_addr().unwrap();
    let error = observe::serve(taken).unwrap_err();
    assert!(matches!(&error, Error::Exporter { address, source }
        if *address == taken && source.kind() == std::io::ErrorKind::AddrInUse));
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.to_string().contains(&taken.to_string()));

    let exporter = observe::serve(anywhere()).unwrap();
    let again = observe::serve(exporter.address()).unwrap_err();
    assert!(matches!(again, Error::Exporter { .. }));
    scrape(&exporter);
    drop(other);
    scrape(&observe::serve(taken).unwrap());
}

#[test]
fn an_endpoint_ends_when_it_is_dropped_and_another_serves_the_same_measurements() {
    let recorder = Recorder::new("dropped.db");
    let first = observe::serve(anywhere()).unwrap();
    let address = first.address();
    recorder.long_read();
    drop(first);
    let refused = TcpStream::connect(address).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);

    let second = observe::serve(address).unwrap();
    recorder.long_read();
    let seen = scrape(&second).value("zqlite_long_reads_total", &[("database", "dropped.db")]);
    assert_eq!(seen, Some(2.0));
    assert!(second.render().contains("zqlite_long_reads_total"));
}

#[test]
fn an_endpoint_can_run_on_a_runtime_of_the_program() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exporter = observe::serve_on(anywhere(), runtime.handle()).unwrap();
    let address = exporter.address();
    let taken = observe::serve_on(address, runtime.handle()).unwrap_err();
    assert!(matches!(taken, Error::Exporter { .. }));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let program = std::thread::spawn(move || {
        runtime.block_on(stopped).unwrap_err();
    });
    scrape(&exporter);
    drop(exporter);
    drop(stop);
    program.join().unwrap();
    TcpStream::connect(address).unwrap_err();
    // Within an asynchronous program, the endpoint on a thread of its own does as well.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let exporter = observe::serve(anywhere()).unwrap();
        scrape(&exporter);
        let taken = observe::serve(exporter.address()).unwrap_err();
        assert!(matches!(taken, Error::Exporter { .. }));
    });
}

#[test]
fn slow_and_silent_clients_do_not_keep_others_from_scraping() {
    let exporter = observe::serve(anywhere()).unwrap();
    let silent: Vec<_> = (0..8)
        .map(|_| TcpStream::connect(exporter.address()).unwrap())
        .collect();
    scrape(&exporter);
    assert_eq!(silent.len(), 8);
}

#[test]
fn names_of_databases_are_escaped() {
    let name = "we\"ird\\na\nme.db";
    let exporter = observe::serve(anywhere()).unwrap();
    let recorder = Recorder::new(name);
    recorder.queue_depth(3);
    let seen = scrape(&exporter).value("zqlite_queue_depth", &[("database", name)]);
    assert_eq!(seen, Some(3.0));
}

#[test]
fn a_recorder_that_was_made_before_the_endpoint_is_measured_from_then_on() {
    if !alone("scrape::a_recorder_that_was_made_before_the_endpoint_is_measured_from_then_on") {
        return;
    }
    let recorder = Recorder::of_path(std::path::Path::new("/somewhere/early.db"));
    assert_eq!(recorder.database(), "early.db");
    let other = recorder.clone();
    recorder.long_read();
    let exporter = observe::serve(anywhere()).unwrap();
    recorder.long_read();
    other.long_read();
    let reads = scrape(&exporter).value("zqlite_long_reads_total", &[("database", "early.db")]);
    assert_eq!(reads, Some(2.0), "what was before it is lost");
}

#[test]
fn a_recorder_of_the_programs_own_is_a_typed_error_and_gets_the_measurements() {
    if !alone("scrape::a_recorder_of_the_programs_own_is_a_typed_error_and_gets_the_measurements") {
        return;
    }
    let early = Recorder::new("early.db");
    let mut builder = PrometheusBuilder::new();
    for metric in observe::METRICS {
        if let Some(buckets) = metric.buckets() {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets).unwrap();
        }
    }
    let own = builder.install_recorder().unwrap();
    let error = observe::serve(anywhere()).unwrap_err();
    assert!(matches!(error, Error::RecorderInstalled));

    observe::rebind();
    observe::publish();
    early.commit(Duration::from_millis(2), 3);
    Recorder::new("later.db").commit(Duration::from_millis(2), 3);
    let seen = exposition::read(&own.render()).unwrap();
    for database in ["early.db", "later.db"] {
        let labels = [("database", database), ("le", "0.0025")];
        let bucket = seen.value("zqlite_commit_duration_seconds_bucket", &labels);
        assert_eq!(bucket, Some(1.0), "{database}");
        let sum = seen.value("zqlite_batch_size_sum", &labels[..1]);
        assert_eq!(sum, Some(3.0));
    }
    assert_eq!(
        seen.value("zqlite_pages_sealed_total", &[("file", "wal")]),
        Some(0.0)
    );
}
