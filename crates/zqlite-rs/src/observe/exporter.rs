//! An HTTP endpoint for Prometheus.

use core::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::metric::METRICS;
use crate::Error;

/// Where the measurements are.
const PATH: &str = "/metrics";
/// The text format of Prometheus.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// How many scrapes are answered at once; more wait.
const CONNECTIONS_MAX: usize = 16;
/// How long a client may take for its request and the answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// How often what was measured is put together, also if nobody scrapes: it would pile up.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long to wait if the operating system gives no connection, for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the measurements of this process to Prometheus, until it is dropped.
///
/// What the program itself measures through `metrics` is served as well.
#[derive(Debug)]
#[must_use = "it stops when it is dropped"]
pub struct Exporter {
    address: SocketAddr,
    handle: PrometheusHandle,
    runs: Runs,
}

#[derive(Debug)]
enum Runs {
    Thread(Option<oneshot::Sender<()>>, Option<JoinHandle<()>>),
    Task(tokio::task::JoinHandle<()>),
}

/// Serves the measurements of this process at `http://ADDRESS/metrics`, on a thread of its own. With port 0 the
/// operating system chooses one.
///
/// Whoever reaches the address can read the measurements, and with them the names of the databases: nobody is asked
/// for a password, and nothing is encrypted.
///
/// The first call gives `metrics` its recorder, and databases that are open already are measured from then on.
/// Another call serves the same measurements at another address.
///
/// ```
/// let exporter = zqlite::observe::serve(([127, 0, 0, 1], 0).into())?;
/// println!("http://{}/metrics", exporter.address());
/// # Ok::<(), zqlite::Error>(())
/// ```
///
/// # Errors
/// [`Error::Exporter`] if the address is taken or is none of this machine's; [`Error::RecorderInstalled`] if the
/// program has given `metrics` a recorder of its own.
pub fn serve(address: SocketAddr) -> Result<Exporter, Error> {
    let failed = |source| Error::Exporter { address, source };
    let listener = listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let handle = recorder()?;
    let (stop, stopped) = oneshot::channel();
    let (tell, began) = mpsc::channel();
    let answers = handle.clone();
    // The runtime lives and dies on its thread: in an asynchronous caller it must not be dropped.
    let thread = std::thread::Builder::new()
        .name("zqlite-metrics".to_owned())
        .spawn(move || run_alone(listener, answers, &tell, stopped))
        .map_err(failed)?;
    began
        .recv()
        .unwrap_or_else(|gone| Err(io::Error::other(gone)))
        .map_err(failed)?;
    Ok(Exporter {
        address: bound,
        handle,
        runs: Runs::Thread(Some(stop), Some(thread)),
    })
}

fn run_alone(
    listener: TcpListener,
    handle: PrometheusHandle,
    tell: &mpsc::Sender<io::Result<()>>,
    stopped: oneshot::Receiver<()>,
) {
    let begun = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| {
            let _context = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener)?;
            Ok((runtime, listener))
        });
    match begun {
        Ok((runtime, listener)) => {
            let _told = tell.send(Ok(()));
            let _task = runtime.spawn(run(listener, handle));
            let _stopped = runtime.block_on(stopped);
            runtime.shutdown_background();
        }
        Err(error) => {
            let _told = tell.send(Err(error));
        }
    }
}

/// [`serve`] on a runtime of the program's, instead of a thread.
///
/// # Errors
/// As [`serve`].
///
/// # Panics
/// If the runtime has I/O or time switched off (`enable_all` switches them on).
pub fn serve_on(address: SocketAddr, runtime: &Handle) -> Result<Exporter, Error> {
    let failed = |source| Error::Exporter { address, source };
    let listener = listen(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let listener = {
        let _context = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(failed)?
    };
    let handle = recorder()?;
    let task = runtime.spawn(run(listener, handle.clone()));
    Ok(Exporter {
        address: bound,
        handle,
        runs: Runs::Task(task),
    })
}

impl Exporter {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a scrape would get now.
    #[must_use]
    pub fn render(&self) -> String {
        render(&self.handle)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        match &mut self.runs {
            Runs::Thread(stop, thread) => {
                drop(stop.take());
                if let Some(thread) = thread.take() {
                    let _ended = thread.join();
                }
            }
            Runs::Task(task) => task.abort(),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The recorder that this crate has installed; a process has one for good.
fn recorder() -> Result<PrometheusHandle, Error> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Some(buckets) = metric.buckets() {
            let name = Matcher::Full(metric.name.to_owned());
            // Only an empty list of buckets is refused.
            builder = builder
                .set_buckets_for_metric(name, buckets)
                .map_err(|_| Error::RecorderInstalled)?;
        }
    }
    let handle = builder
        .install_recorder()
        .map_err(|_| Error::RecorderInstalled)?;
    *installed = Some(handle.clone());
    drop(installed);
    super::rebind();
    Ok(handle)
}

fn render(handle: &PrometheusHandle) -> String {
    super::publish();
    handle.render()
}

async fn run(listener: tokio::net::TcpListener, handle: PrometheusHandle) {
    let mut connections = JoinSet::new();
    let mut upkeep = Instant::now() + UPKEEP;
    loop {
        if Instant::now() >= upkeep {
            super::publish();
            handle.run_upkeep();
            upkeep = Instant::now() + UPKEEP;
        }
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            let _one_is_done = connections.join_next().await;
            continue;
        }
        match timeout_at(upkeep, listener.accept()).await {
            Ok(Ok((stream, _))) => {
                connections.spawn(answer(stream, handle.clone()));
            }
            Ok(Err(_)) => sleep(ACCEPT_PAUSE).await,
            Err(_time_for_upkeep) => {}
        }
    }
}

/// One request; a client that is slow, or speaks something else, is sent away.
async fn answer(stream: TcpStream, handle: PrometheusHandle) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = respond(&request, &handle);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    let _sent = timeout(CONNECTION_TIME_MAX, connection).await;
}

fn respond(request: &Request<Incoming>, handle: &PrometheusHandle) -> Response<Full<Bytes>> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, body) = match request.uri().path() {
        PATH if reads => (StatusCode::OK, render(handle)),
        PATH => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (
            StatusCode::NOT_FOUND,
            format!("The measurements are at {PATH}.\n"),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT_FORMAT));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}
