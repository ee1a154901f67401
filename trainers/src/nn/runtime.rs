//! Process-wide set-up of libtorch and the choice of number format.

use std::env;
use std::str::FromStr;

use tch::Kind;

/// Prepares libtorch. Call first in `main`, before anything asks for CUDA: libtorch remembers the first answer.
///
/// * Loads `libtorch_cuda.so` where it is installed. Nothing links to it, so that one binary runs on machines without
///   a GPU too; there the call does nothing.
/// * Starts the program again with `OMP_WAIT_POLICY=passive` unless the variable is set: libgomp reads it while it is
///   loaded, before `main`, and its default (spinning) costs several times the CPU on a machine that is shared.
/// * Has the allocator keep freed memory for the next tensors.
/// * Sets the number of threads of one operation, `threads`; 0 leaves libtorch's choice, the number of cores.
#[expect(
    unsafe_code,
    reason = "dlopen is the only way to load a library that must not be linked"
)]
pub fn init_torch(threads: usize) {
    wait_passively();
    keep_freed_memory();
    // SAFETY: the name is a NUL-terminated literal; the library's initializers are those PyTorch runs itself.
    unsafe {
        libc::dlopen(
            c"libtorch_cuda.so".as_ptr(),
            libc::RTLD_NOW | libc::RTLD_GLOBAL,
        );
    }
    if threads > 0 {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
}

/// Keeps memory that was freed for what is allocated next: libtorch frees and allocates its tensors again and again, and to
/// give them back to the system and get them cleared anew takes longer than to fill a batch with frames.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc's allocator has no other interface")]
fn keep_freed_memory() {
    // The most that glibc takes; what is larger is mapped each for itself.
    const LARGEST: libc::c_int = 32 << 20;
    // SAFETY: two settings of the allocator, which checks them.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}

/// Ends the process at once, without running destructors: an orderly exit takes libtorch down under the threads that
/// still compute, which is a segmentation fault.
#[expect(
    unsafe_code,
    reason = "the standard library has no exit without destructors but abort"
)]
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions; files written so far were handed to the system.
    unsafe { libc::_exit(code) }
}

#[cfg(unix)]
fn wait_passively() {
    use std::os::unix::process::CommandExt as _;
    if env::var_os("OMP_WAIT_POLICY").is_some() {
        return;
    }
    if let Ok(program) = env::current_exe() {
        // Returns only when it fails; then spinning it is.
        let _error = std::process::Command::new(program)
            .args(env::args_os().skip(1))
            .env("OMP_WAIT_POLICY", "passive")
            .env("GOMP_SPINCOUNT", "0")
            .exec();
    }
}

#[cfg(not(unix))]
fn wait_passively() {}

/// Number format of weights and activations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bf16 where the processor multiplies it natively ([`native_bf16`]) or a GPU is used, f32 elsewhere.
    #[default]
    Auto,
    /// 32-bit floats: slower, and what reference values are compared in.
    F32,
    /// 16-bit brain floats: half the memory; about twice the speed where [`native_bf16`], slower than f32 elsewhere.
    Bf16,
}

impl Precision {
    /// The tensor kind to use on `device`.
    pub fn kind(self, device: tch::Device) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
            Self::Auto if device.is_cuda() || native_bf16() => Kind::BFloat16,
            Self::Auto => Kind::Float,
        }
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            other => Err(format!("expected auto, f32 or bf16, found {other:?}")),
        }
    }
}

/// Whether this processor has bf16 dot products; without them libtorch emulates bf16 and is slower than in f32.
pub fn native_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}
