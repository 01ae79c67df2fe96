//! Texts of kernels for a target.

use super::Error;
use crate::kernel::cuda;
use crate::plan::Plan;

/// Names and texts of the CUDA files of a plan, in the order of its kernels, as a device of 132 multiprocessors would get
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
    let text = |(at, kernel)| {
        let source = cuda::generate(kernel, &options);
        let entry = source.launches.first().map_or("nothing", |it| it.entry);
        (format!("kernel_{at:03}_{entry}.cu"), source.text)
    };
    Ok(plan.kernels.iter().enumerate().map(text).collect())
}
