//! The image that this code is part of: its read-only memory, and the id of its build.
//!
//! Must not know what lies there.

use std::ops::Range;
use std::sync::OnceLock;

/// The executable (or shared library) that holds this code, as the system has loaded it.
#[derive(Debug)]
pub(super) struct Image {
    /// Addresses of constants: they can be read, and once the program runs never written, and are no code.
    pub read_only: Vec<Range<usize>>,
    /// The build, as hexadecimal digits.
    pub build: String,
}

impl Image {
    /// The image of this code; `None` where the system does not tell, so that no function can be named.
    pub(super) fn own() -> Option<&'static Image> {
        static OWN: OnceLock<Option<Image>> = OnceLock::new();
        OWN.get_or_init(|| system::image_of(super::descriptor::anchor())).as_ref()
    }

    /// Whether so many bytes at an address are read-only memory of the image.
    pub(super) fn holds(&self, address: usize, bytes: usize) -> bool {
        self.read_only.iter().any(|r| r.contains(&address) && r.end - address >= bytes)
    }
}

/// The id of this executable's build, as hexadecimal digits: what its linker noted, else a hash of its file. `None`
/// on systems where neither can be had.
///
/// ```
/// assert_eq!(tilework_kernels::native::build_id(), tilework_kernels::native::build_id());
/// ```
#[must_use]
pub fn build_id() -> Option<&'static str> {
    Image::own().map(|image| image.build.as_str())
}

#[cfg(target_os = "linux")]
mod system {
    use super::Image;
    use std::ffi::{CStr, OsStr, c_int, c_void};
    use std::os::unix::ffi::OsStrExt;
    use std::path::PathBuf;

    struct Search {
        address: usize,
        read_only: Vec<std::ops::Range<usize>>,
        id: Option<Vec<u8>>,
        /// The file of a shared library; empty for the executable.
        path: Option<PathBuf>,
    }

    /// The image that holds an address.
    pub(super) fn image_of(address: usize) -> Option<Image> {
        let mut search = Search { address, read_only: Vec::new(), id: None, path: None };
        // SAFETY: `visit` is called with the pointer to `search`, which outlives the call.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        let path = search.path?;
        let build = match search.id {
            Some(id) => id.iter().map(|b| format!("{b:02x}")).collect(),
            None if path.as_os_str().is_empty() => super::file_id(std::path::Path::new("/proc/self/exe"))?,
            None => super::file_id(&path)?,
        };
        Some(Image { read_only: search.read_only, build })
    }

    /// Takes down the object that holds the searched address; ends the walk there.
    unsafe extern "C" fn visit(info: *mut libc::dl_phdr_info, _size: usize, data: *mut c_void) -> c_int {
        // SAFETY: the loader passes its record and the pointer that it was given, both valid for the call.
        let (info, search) = unsafe { (&*info, &mut *data.cast::<Search>()) };
        // SAFETY: the loader says that there are so many headers.
        let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let at = |h: &libc::Elf64_Phdr| {
            let start = (info.dlpi_addr as usize).wrapping_add(h.p_vaddr as usize);
            start..start + h.p_memsz as usize
        };
        if !headers.iter().any(|h| h.p_type == libc::PT_LOAD && at(h).contains(&search.address)) {
            return 0;
        }
        for header in headers {
            let writable = header.p_flags & libc::PF_W != 0;
            let readable = header.p_flags & libc::PF_R != 0;
            let executable = header.p_flags & libc::PF_X != 0;
            match header.p_type {
                // Code is full of numbers that were meant for nothing of the kind.
                libc::PT_LOAD if readable && !writable && !executable => search.read_only.push(at(header)),
                libc::PT_GNU_RELRO => search.read_only.push(at(header)),
                libc::PT_NOTE if search.id.is_none() => {
                    let range = at(header);
                    // SAFETY: a note's segment is part of the loaded image, readable and never written.
                    let bytes = unsafe { std::slice::from_raw_parts(range.start as *const u8, range.len()) };
                    search.id = super::noted_id(bytes, header.p_align as usize).map(<[u8]>::to_vec);
                }
                _ => {}
            }
        }
        // SAFETY: the loader's names are strings of C, empty for the executable itself.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        search.path = Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())));
        1
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// Nothing is known of images on this system.
    pub(super) fn image_of(_address: usize) -> Option<super::Image> {
        None
    }
}

/// The build id among ELF notes whose parts are padded to `align` bytes.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn noted_id(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    /// `NT_GNU_BUILD_ID`
    const BUILD_ID: usize = 3;
    let padded = |n: usize| n.checked_next_multiple_of(if align == 8 { 8 } else { 4 });
    while let Some((header, rest)) = notes.split_at_checked(12) {
        let word =
            |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]) as usize;
        let (name_len, desc_len, kind) = (word(0), word(4), word(8));
        // The description starts at a padded distance from the header, not from the name.
        let desc_at = padded(12 + name_len)? - 12;
        let desc = rest.get(desc_at..desc_at.checked_add(desc_len)?)?;
        if kind == BUILD_ID && rest.get(..name_len) == Some(b"GNU\0") && !desc.is_empty() {
            return Some(desc);
        }
        notes = rest.get(padded(desc_at + 12 + desc_len)? - 12..).unwrap_or(&[]);
    }
    None
}

/// A hash of a file's bytes, for executables without a noted id.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn file_id(path: &std::path::Path) -> Option<String> {
    use std::io::Read;
    let mut file = std::fs::File::open(path).ok()?;
    let (mut hash, mut buffer) = (Hash::new(), vec![0u8; 1 << 20]);
    loop {
        // Filled as far as the file goes, so that words do not depend on how much one call reads.
        let mut n = 0;
        while n < buffer.len() {
            match file.read(&mut buffer[n..]).ok()? {
                0 => break,
                more => n += more,
            }
        }
        if n == 0 {
            return Some(format!("{:032x}", hash.0));
        }
        hash.add(&buffer[..n]);
    }
}

/// FNV-1a over words in place of bytes, 128 bits wide.
struct Hash(u128);

impl Hash {
    fn new() -> Hash {
        Hash(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn add(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(16) {
            let mut padded = [0; 16];
            padded[..word.len()].copy_from_slice(word);
            let mixed = self.0 ^ u128::from_le_bytes(padded);
            // The upper half of the product is turned down, so that high bits reach all others.
            self.0 = mixed.wrapping_mul(0x0100_0000_0000_0000_0000_013b).rotate_left(59) ^ word.len() as u128;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(kind: u32, name: &[u8], desc: &[u8], align: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [name.len() as u32, desc.len() as u32, kind] {
            bytes.extend(word.to_ne_bytes());
        }
        for part in [name, desc] {
            bytes.extend(part);
            bytes.resize(bytes.len().next_multiple_of(align), 0);
        }
        bytes
    }

    #[test]
    fn the_id_is_found_among_other_notes() {
        for align in [4, 8] {
            let mut notes = note(5, b"GNU\0", &[1; 13], align);
            notes.extend(note(3, b"Go\0\0\0\0", b"other", align));
            assert_eq!(noted_id(&notes, align), None);
            notes.extend(note(3, b"GNU\0", &[0xab, 0xcd], align));
            assert_eq!(noted_id(&notes, align), Some(&[0xab, 0xcd][..]));
            for cut in 0..notes.len() {
                let _ = noted_id(&notes[..cut], align);
            }
        }
        assert_eq!(noted_id(&[0xff; 64], 4), None);
    }

    #[test]
    fn the_hash_of_a_file_is_that_of_all_its_bytes() {
        let hash = |bytes: &[u8]| {
            let mut hash = Hash::new();
            hash.add(bytes);
            hash.0
        };
        let base: Vec<u8> = (0..100u8).collect();
        let mut seen = vec![hash(&base), hash(&base[..99]), hash(&[])];
        for i in 0..base.len() {
            let mut other = base.clone();
            other[i] ^= 0x80;
            seen.push(hash(&other));
        }
        let n = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), n);
        let exe = std::path::Path::new("/proc/self/exe");
        assert_eq!(file_id(exe), file_id(exe));
        assert!(file_id(std::path::Path::new("/no/such/file")).is_none());
    }

    #[test]
    fn constants_lie_in_read_only_memory_and_nothing_else_does() {
        static CONSTANT: [u64; 4] = [1, 2, 3, 4];
        static COUNTER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(7);
        let image = Image::own().expect("the tests run where images are known");
        assert!(image.holds(CONSTANT.as_ptr() as usize, 32));
        assert!(!image.holds(&raw const COUNTER as usize, 8));
        assert!(!image.holds(Box::new(1u64).as_ref() as *const u64 as usize, 8));
        let code = constants_lie_in_read_only_memory_and_nothing_else_does as fn() as usize;
        assert!(!image.holds(code, 8), "code is no place for a descriptor");
        let end = image.read_only[0].end;
        assert!(image.holds(end - 8, 8) && !image.holds(end - 7, 8));
        assert!(image.build.len() >= 16, "{}", image.build);
    }
}
