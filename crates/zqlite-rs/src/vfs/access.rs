//! Who may open which file: keys registered for a path, or handed over by the builder.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zqlite_pq::SigningKey;
use zqlite_pq::header::{EpochSet, Expected, Header, Keyring, NewHeader, NewSlot};
use zqlite_pq::page::PageSize;

use crate::{Anchor, Error, os_rng};

/// Whose files are accepted.
#[derive(Clone, Debug, Default)]
pub(crate) enum Maker {
    /// Nothing was said: refused if a recipient's slot opens the file.
    #[default]
    Unspecified,
    /// Only this signer's.
    SignedBy(Box<Expected>),
    /// Everybody's.
    Any,
}

/// What a new file gets.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) slots: Vec<NewSlot>,
    pub(crate) page_size: PageSize,
    pub(crate) signing_key: Option<SigningKey>,
}

/// The keys and rules for one file.
#[derive(Debug, Default)]
pub struct Access {
    keyring: Keyring,
    maker: Maker,
    page_size: PageSize,
    new_file: Mutex<Option<NewFile>>,
    /// The header made from it, until it is written.
    made: Mutex<Option<(Header, EpochSet)>>,
    /// Whether whoever opens a new file sets page size and reserved bytes himself.
    client_sets_layout: bool,
    /// Epoch keys that one connection unwrapped: the next one needs no key encapsulation and no Argon2id.
    known: Mutex<Option<EpochSet>>,
    /// What remembers the newest header that was seen.
    anchor: Option<Arc<dyn Anchor>>,
    /// Bytes of opened pages that each connection keeps, if somebody has said.
    cache_len: Option<usize>,
}

impl Access {
    /// Access with these keys, which may be none if files are only created.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            ..Self::default()
        }
    }

    /// Accepts only files whose header is signed as expected.
    #[must_use]
    pub fn signed_by(mut self, expected: Expected) -> Self {
        self.maker = Maker::SignedBy(Box::new(expected));
        self
    }

    /// Accepts files whoever made them.
    #[must_use]
    pub fn accept_any_maker(mut self) -> Self {
        self.maker = Maker::Any;
        self
    }

    /// Refuses a header that is older than the last one that the anchor has seen, when the file is opened and whenever
    /// its header is read again.
    #[must_use]
    pub fn anchor(mut self, anchor: Arc<dyn Anchor>) -> Self {
        self.anchor = Some(anchor);
        self
    }

    /// Has each connection keep at most this many bytes of opened pages, beside those in SQLite's own cache.
    ///
    /// Otherwise each keeps up to 4 MiB, and beyond that what is left of a budget that all connections of the process share: an
    /// eighth of the memory that it may use, at least 64 MiB where that is no more than a quarter, and at most 1 GiB (on
    /// Linux; elsewhere 64 MiB).
    #[must_use]
    pub const fn cache_len(mut self, bytes: usize) -> Self {
        self.cache_len = Some(bytes);
        self
    }

    /// Permits the creation of one file, with these slots.
    #[must_use]
    pub fn create(
        mut self,
        slots: Vec<NewSlot>,
        page_size: PageSize,
        signing_key: Option<SigningKey>,
    ) -> Self {
        self.page_size = page_size;
        self.new_file = Mutex::new(Some(NewFile {
            slots,
            page_size,
            signing_key,
        }));
        self
    }

    /// A new file reads as empty without a hint at its layout, which the client sets by other means: SQLite
    /// takes the hint for a layout that is fixed, and then ignores `auto_vacuum`.
    #[cfg(feature = "rusqlite")]
    pub(crate) const fn layout_set_by_client(mut self) -> Self {
        self.client_sets_layout = true;
        self
    }

    pub(crate) const fn is_layout_set_by_client(&self) -> bool {
        self.client_sets_layout
    }

    pub(crate) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    pub(crate) const fn maker(&self) -> &Maker {
        &self.maker
    }

    pub(crate) fn anchored(&self) -> Option<&dyn Anchor> {
        self.anchor.as_deref()
    }

    pub(crate) const fn kept_bytes(&self) -> Option<usize> {
        self.cache_len
    }

    /// The page size that a new file gets.
    pub(crate) const fn page_size(&self) -> PageSize {
        self.page_size
    }

    pub(crate) fn may_create(&self) -> bool {
        lock(&self.new_file).is_some() || lock(&self.made).is_some()
    }

    /// The header of the new file; the same until [`Access::header_is_written`].
    pub(crate) fn make_header(&self) -> Result<(Header, EpochSet), Error> {
        let mut made = lock(&self.made);
        if let Some(made) = &*made {
            return Ok(made.clone());
        }
        let Some(new) = lock(&self.new_file).take() else {
            return Err(Error::Create(
                "no recipient, passphrase or raw key was given".to_owned(),
            ));
        };
        let header = NewHeader {
            page_size: new.page_size,
            slots: new.slots,
            signing_key: new.signing_key.as_ref(),
        };
        let header = header
            .create(&mut os_rng())
            .map_err(|error| Error::Create(error.to_string()))?;
        Ok(made.insert(header).clone())
    }

    /// The header has become a file: this access creates no other.
    pub(crate) fn header_is_written(&self) {
        *lock(&self.made) = None;
    }

    pub(crate) fn known(&self) -> Option<EpochSet> {
        lock(&self.known).clone()
    }

    pub(crate) fn remember(&self, epochs: &EpochSet) {
        *lock(&self.known) = Some(epochs.clone());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static REGISTRY: Mutex<Option<HashMap<PathBuf, Arc<Access>>>> = Mutex::new(None);

thread_local! {
    /// What the builder hands to the xOpen that it is about to cause on this thread.
    static HANDED: RefCell<Option<Arc<Access>>> = const { RefCell::new(None) };
    /// Why the last callback on this thread failed.
    static LAST_ERROR: RefCell<Option<Error>> = const { RefCell::new(None) };
}

/// Registers keys for a path, so that connections which name the VFS `zqlite` open it, until [`unregister`].
///
/// The path need not exist yet. It is resolved once, now: symbolic links in it are followed.
///
/// # Errors
/// [`Error::Io`] if the folder of the path does not exist.
pub fn register(path: &Path, access: Access) -> Result<(), Error> {
    let path = canonical(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    lock(&REGISTRY)
        .get_or_insert_default()
        .insert(path, Arc::new(access));
    Ok(())
}

/// Forgets the keys of a path. Connections that are open stay so. Tells whether there were any.
pub fn unregister(path: &Path) -> bool {
    let Ok(path) = canonical(path) else {
        return false;
    };
    let mut registry = lock(&REGISTRY);
    let removed = registry
        .as_mut()
        .is_some_and(|registry| registry.remove(&path).is_some());
    // Nothing is left behind in the memory of a program that looks for leaks.
    if registry.as_ref().is_some_and(HashMap::is_empty) {
        *registry = None;
    }
    removed
}

/// The access for a file that is being opened: what the builder handed over, else what is registered.
pub(crate) fn find(path: &Path) -> Option<Arc<Access>> {
    HANDED.with_borrow_mut(Option::take).or_else(|| {
        let path = canonical(path).ok()?;
        lock(&REGISTRY).as_ref()?.get(&path).cloned()
    })
}

/// Runs `open`, which opens a database on this thread with this access.
#[cfg(feature = "rusqlite")]
pub(crate) fn hand_over<T>(access: Arc<Access>, open: impl FnOnce() -> T) -> T {
    /// Takes back what no xOpen has taken, also when `open` panics.
    struct TakeBack;
    impl Drop for TakeBack {
        fn drop(&mut self) {
            HANDED.set(None);
        }
    }
    let _take_back = TakeBack;
    HANDED.set(Some(access));
    open()
}

/// Remembers why a callback fails, for whoever asks on this thread.
pub(crate) fn set_last_error(error: Error) {
    LAST_ERROR.set(Some(error));
}

/// Why the last callback on this thread failed, if it was for a reason of ours.
#[must_use]
pub fn take_last_error() -> Option<Error> {
    LAST_ERROR.take()
}

/// The path with links resolved, also for a file that does not exist yet.
fn canonical(path: &Path) -> std::io::Result<PathBuf> {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(path), _, _) => Ok(path),
        (Err(_), Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            Ok(parent.canonicalize()?.join(name))
        }
        (Err(error), _, _) => Err(error),
    }
}
