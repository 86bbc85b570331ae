//! Tables of test functions, for test programs that list their tests themselves.

/// Pairs each function with its name.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        [$((stringify!($case), $case as fn())),+]
    };
}
