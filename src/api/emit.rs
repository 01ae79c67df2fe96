//! Texts of kernels for a target.

use super::Error;
use crate::kernel::cuda;
use crate::plan::{Plan, Source};
use crate::runtime::cuda_units;

/// Names and texts of the CUDA files of a plan, each named after the kernels that it is, as a device of 132 multiprocessors would get
/// them. Fails for a plan in f64, and for one with tensors beyond what kernels for CUDA count.
pub fn cuda_files(plan: &Plan) -> Result<Vec<(String, String)>, Error> {
    if let Some(numbers) = plan.kernels.iter().find_map(cuda::beyond) {
        let cause = format!(
            "`{}` has a tensor of {numbers} numbers, and kernels for CUDA count up to {}",
            plan.name,
            cuda::REACH
        );
        return Err(Error::options(cause, "use a smaller `--batch`"));
    }
    let arithmetic = cuda::Arithmetic::of(plan.precision).ok_or_else(|| {
        Error::options("kernels for CUDA compute in single precision", "use another `--precision`, or `--target cpu`")
    })?;
    let options = cuda::Options { arithmetic, ..cuda::Options::default() };
    let file = |it: Source<cuda::CudaSource>| {
        let numbers: String = it.kernels.iter().map(|it| format!("{it:03}_")).collect();
        let entry = it.code.launches.first().map_or("nothing", |it| it.entry);
        (format!("kernel_{numbers}{entry}.cu"), it.code.text)
    };
    Ok(cuda_units(plan, &options).sources.into_iter().map(file).collect())
}
