"""Many runs in one folder: a study file, its grid, the engines that do it, its table and figures."""
