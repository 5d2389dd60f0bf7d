//! The VFS that every connection of this process uses: SQLite's own, with a [`Disk`] told of each call on a
//! file that it watches, before it is made (so that it can be failed) and after it (so that it is recorded).
//!
//! The only unsafe code here. A file of ours is a [`Handle`] with the file of SQLite's own VFS behind it, in
//! one piece of memory that SQLite gives and takes.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::mem::size_of;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Once};

use rusqlite::ffi::{self, sqlite3_file, sqlite3_io_methods, sqlite3_vfs};

use crate::disk::{Call, Disk, Event, Failure, Node};

/// SQLite's own VFS.
static REAL: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());

/// Where in our file the real one begins.
const REAL_AT: usize = size_of::<Handle>().next_multiple_of(8);

/// The front of an open file.
#[repr(C)]
struct Handle {
    /// What SQLite knows of it; first, because it is all that SQLite knows.
    base: sqlite3_file,
    /// Who watches it; nobody for most files.
    watched: Option<Watched>,
}

/// A file that is watched.
struct Watched {
    /// By whom.
    disk: Arc<Disk>,
    /// Which file it is.
    node: Node,
}

/// Makes this the VFS of every connection that is opened from now on.
pub(crate) fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: both may be called at any time; a null name asks for the default.
        let real = unsafe {
            ffi::sqlite3_initialize();
            ffi::sqlite3_vfs_find(ptr::null())
        };
        assert!(!real.is_null(), "SQLite has a VFS");
        REAL.store(real, Ordering::Release);
        // SAFETY: what SQLite has registered stays valid; it is plain data.
        let mut ours = unsafe { ptr::read(real) };
        ours.zName = c"watched".as_ptr();
        ours.pNext = ptr::null_mut();
        ours.szOsFile += c_int::try_from(REAL_AT).expect("a few words");
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        // SAFETY: it is whole, and stays where it is for ever.
        let code = unsafe { ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(code, ffi::SQLITE_OK);
    });
}

/// Opens a file, ours in front of the real one.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives room for what `szOsFile` says; until there are methods it calls nothing.
    unsafe { (*file).pMethods = ptr::null() };
    // SAFETY: a name is null, for a temporary file, or a C string.
    let watcher = unsafe { path_of(name) }.and_then(|path| Some((Disk::of(path)?, path)));
    if let Some((disk, _)) = &watcher
        && let Some(failure) = disk.call(Call::Open)
    {
        return failure.code;
    }
    let existed = watcher.as_ref().is_some_and(|(_, path)| path.exists());
    let vfs = REAL.load(Ordering::Acquire);
    // SAFETY: the arguments are SQLite's own, and the room behind our part is for the real file.
    let code = unsafe {
        let open = (*vfs).xOpen.expect("every VFS opens");
        open(vfs, name, real(file), flags, out_flags)
    };
    if code == ffi::SQLITE_OK {
        let watched = watcher.map(|(disk, path)| {
            let node = disk.opened(path, existed);
            Watched { disk, node }
        });
        // SAFETY: the room is ours and holds nothing that would have to be dropped.
        unsafe {
            ptr::write(
                file.cast::<Handle>(),
                Handle { base: sqlite3_file { pMethods: &raw const METHODS }, watched },
            );
        }
    }
    code
}

/// Removes a file.
unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: it is a C string.
    let watcher = unsafe { path_of(name) }.and_then(|path| Some((Disk::of(path)?, path)));
    if let Some((disk, _)) = &watcher
        && let Some(failure) = disk.call(Call::Delete)
    {
        return failure.code;
    }
    let vfs = REAL.load(Ordering::Acquire);
    // SAFETY: the arguments are SQLite's own.
    let code = unsafe {
        let delete = (*vfs).xDelete.expect("every VFS deletes");
        delete(vfs, name, sync_folder)
    };
    if let Some((disk, path)) = watcher
        && code == ffi::SQLITE_OK
    {
        disk.deleted(path, sync_folder != 0);
    }
    code
}

/// A file's name as a path.
unsafe fn path_of<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string that lives as long as the call that it was given to.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

/// The real file behind one of ours.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` asked for that much more room.
    unsafe { file.cast::<u8>().add(REAL_AT).cast() }
}

/// The methods of the real file.
unsafe fn methods<'a>(file: *mut sqlite3_file) -> &'a sqlite3_io_methods {
    // SAFETY: ours is open, so the real one is and has methods.
    unsafe { &*(*real(file)).pMethods }
}

/// Who watches an open file.
unsafe fn watched<'a>(file: *mut sqlite3_file) -> Option<&'a Watched> {
    // SAFETY: an open file of ours begins with a handle, which is only read until it is closed.
    unsafe { (*file.cast::<Handle>()).watched.as_ref() }
}

/// How this call on a file is to fail, if it is.
unsafe fn failure(file: *mut sqlite3_file, call: Call) -> Option<Failure> {
    // SAFETY: passed on.
    unsafe { watched(file) }.and_then(|it| it.disk.call(call))
}

/// Records what was done to a file.
unsafe fn note(file: *mut sqlite3_file, code: c_int, event: impl FnOnce(Node) -> Event) {
    // SAFETY: passed on.
    if let Some(it) = unsafe { watched(file) }
        && code == ffi::SQLITE_OK
    {
        it.disk.note(event(it.node));
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes an open file once, and does not use it any more.
    unsafe {
        let code = methods(file).xClose.expect("files close")(real(file));
        ptr::drop_in_place(&raw mut (*file.cast::<Handle>()).watched);
        code
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    data: *const c_void,
    amount: c_int,
    offset: i64,
) -> c_int {
    // SAFETY: `data` has that many bytes; the rest is SQLite's own, passed on.
    unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), amount.cast_unsigned() as usize);
        let write = methods(file).xWrite.expect("files are written");
        let at = offset.cast_unsigned();
        let Some(failure) = failure(file, Call::Write) else {
            let code = write(real(file), data, amount, offset);
            note(file, code, |node| Event::Write { node, at, bytes: bytes.into() });
            return code;
        };
        if failure.half {
            let code = write(real(file), data, amount / 2, offset);
            let half = &bytes[..bytes.len() / 2];
            note(file, code, |node| Event::Write { node, at, bytes: half.into() });
        }
        failure.code
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    unsafe {
        if let Some(failure) = failure(file, Call::Truncate) {
            return failure.code;
        }
        let code = methods(file).xTruncate.expect("files are cut")(real(file), size);
        note(file, code, |node| Event::Truncate { node, size: size.cast_unsigned() });
        code
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    unsafe {
        if let Some(failure) = failure(file, Call::Sync) {
            note(file, ffi::SQLITE_OK, |node| Event::SyncFailed { node });
            return failure.code;
        }
        let code = methods(file).xSync.expect("files are synced")(real(file), flags);
        note(file, code, |node| Event::Sync { node });
        code
    }
}

/// A method that may be failed and is not recorded.
macro_rules! failing {
    ($($name:ident = $method:ident as $call:ident ($($arg:ident: $kind:ty),*);)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $kind)*) -> c_int {
            // SAFETY: SQLite's own arguments, passed on.
            unsafe {
                if let Some(failure) = failure(file, Call::$call) {
                    return failure.code;
                }
                methods(file).$method.expect("the real VFS has it")(real(file) $(, $arg)*)
            }
        }
    )*};
}

/// A method that is passed on.
macro_rules! passed_on {
    ($($name:ident = $method:ident ($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $arg: $kind)*) -> $answer {
            // SAFETY: SQLite's own arguments, passed on.
            unsafe { methods(file).$method.expect("the real VFS has it")(real(file) $(, $arg)*) }
        }
    )*};
}

failing! {
    read = xRead as Read(data: *mut c_void, amount: c_int, offset: i64);
    file_size = xFileSize as Size(size: *mut i64);
    lock = xLock as Lock(level: c_int);
    shm_map = xShmMap as ShmMap(page: c_int, size: c_int, extend: c_int, at: *mut *mut c_void);
}

passed_on! {
    unlock = xUnlock(level: c_int) -> c_int;
    check_reserved = xCheckReservedLock(out: *mut c_int) -> c_int;
    control = xFileControl(what: c_int, argument: *mut c_void) -> c_int;
    sector_size = xSectorSize() -> c_int;
    characteristics = xDeviceCharacteristics() -> c_int;
    shm_barrier = xShmBarrier() -> ();
    shm_unmap = xShmUnmap(delete: c_int) -> c_int;
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite's own arguments, passed on.
    unsafe {
        // To give a lock back never fails.
        if flags & ffi::SQLITE_SHM_LOCK != 0
            && let Some(failure) = failure(file, Call::ShmLock)
        {
            return failure.code;
        }
        methods(file).xShmLock.expect("the real VFS has it")(real(file), offset, count, flags)
    }
}

/// The methods of our files. Version 2 leaves out mapping them into memory, which the library turns off.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
