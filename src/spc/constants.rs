//! The control chart constants d2, d3 and c4 of normal samples, for subgroups of up to 25. No units.
//!
//! d2 and d3 are the mean and the standard deviation of the range of n standard normal values, c4 is
//! the mean of their standard deviation. Rounded textbook tables are off by up to 3e-4; these values
//! were integrated to 20 digits (d2 from `1 - Phi^n - (1-Phi)^n`, d3 from the distribution of the
//! range, c4 from the gamma function) and are rounded only to doubles. A test repeats the integrals.

use std::f64::consts::FRAC_2_SQRT_PI;

use crate::domain::sample::MAX_SUBGROUP_SIZE;

/// Expected range of `n` standard normal values; `None` outside 2 to 25.
pub fn d2(n: u32) -> Option<f64> {
    row(n).map(|[d2, _, _]| d2)
}

/// Standard deviation of the range of `n` standard normal values; `None` outside 2 to 25.
pub fn d3(n: u32) -> Option<f64> {
    row(n).map(|[_, d3, _]| d3)
}

/// Expected standard deviation of `n` standard normal values; `None` outside 2 to 25.
pub fn c4(n: u32) -> Option<f64> {
    row(n).map(|[_, _, c4]| c4)
}

fn row(n: u32) -> Option<[f64; 3]> {
    let index = usize::try_from(n).ok()?.checked_sub(2)?;
    TABLE.get(index).copied()
}

/// `[d2, d3, c4]`, from n = 2 on.
const TABLE: [[f64; 3]; MAX_SUBGROUP_SIZE as usize - 1] = [
    [FRAC_2_SQRT_PI, 0.8525024664274218, 0.7978845608028654],
    [1.692568750643269, 0.8883680040452043, 0.886226925452758],
    [2.058750746007928, 0.8798082028249833, 0.9213177319235613],
    [2.325928947281039, 0.8640819410995041, 0.9399856029866251],
    [2.534412721222943, 0.8480396861174953, 0.9515328619481446],
    [2.7043567512138087, 0.8332053356222937, 0.959368788699833],
    [2.8472006120905555, 0.819831489791944, 0.9650304561473719],
    [2.970026324418474, 0.8078342745533225, 0.9693106997139541],
    [3.077505461670346, 0.7970506735194113, 0.9726592741215883],
    [3.1728727038160005, 0.7873146205503282, 0.9753500771452293],
    [3.258455279743826, 0.7784783412033843, 0.9775593518547722],
    [3.335980354098255, 0.7704162020637548, 0.9794056043142177],
    [3.406763108199953, 0.7630230956247903, 0.9809714367555162],
    [3.4718268898820748, 0.756211429727944, 0.9823161771626505],
    [3.531982786109576, 0.7499080894099159, 0.9834835316158412],
    [3.5878839617653817, 0.7440517839607315, 0.9845064054718315],
    [3.6400637579374444, 0.7385908533781779, 0.985410043808079],
    [3.6889630232076493, 0.7334814955188684, 0.9862141368601935],
    [3.734950119596641, 0.7286863457073053, 0.9869342675246553],
    [3.778335829842621, 0.7241733407174991, 0.9875829288261564],
    [3.8193846433628327, 0.7199148084342234, 0.988170253315831],
    [3.858323423285007, 0.7158867354918145, 0.9887045452339992],
    [3.8953481484513564, 0.7120681751479373, 0.9891926749585047],
    [3.930629219507113, 0.708440765888655, 0.9896403755857031],
];
