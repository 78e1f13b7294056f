"""What each option of the tables' entries means, in a line of --help; the entries' docstrings say it whole."""

OPTIONS = {
    # data
    "source": "the published file; drawn: made here, the same bits; empty: in the cache folder",
    "every": 'only every k-th value of a factor, such as "pos_x:2,pos_y:2"',
    "without": 'no images of such values, several together: "shape:0,pos_x:16-31"',
    "n_balls": "balls in the box",
    "size": "pixels of a side",
    "friction": "share of its velocity that a ball loses a frame",
    "gravity": "velocity downwards that a ball gains a frame",
    "shuffled": "frames of a batch from as many simulations, not in a row",
    "painting": "picture that the sprites lie on",
    "path": "folder of pictures, table of their paths, or file of arrays",
    "crop": "centre keeps the middle square, pad the whole picture between bars",
    "colour": "rgb, grey, or auto: as the pictures are",
    "factors": "columns of the table that are ground truth: all, none, or names with commas",
    # model
    "width": "units of each hidden layer",
    # objective
    "beta": "weight of the KL, of the total correlation in beta_tcvae",
    "gamma": "weight of |KL - capacity|, of the total correlation in factor_vae",
    "capacity": "nats that the KL is held at",
    "lambda_od": "weight of the covariances of two latents",
    "lambda_d_factor": "weight of the variances' distance from 1, over lambda_od",
    "tau": "weight of the total correlation beside the KL",
    "kappa": "weight of the fourth moment of the led latents",
    "rent": "nats that a latent in full use costs, beside its KL",
    "hsic": "weight of the dependence of each two latents",
    "led": "weight at which two latents follow linear coordinates of the images",
    "opened": "latents that are open",
    # likelihood
    "sigma": "standard deviation of a pixel",
    # optimizer
    "adam_beta1": "decay of the mean of gradients",
    "adam_beta2": "decay of the mean of their squares",
    "adam_eps": "added to the root of that mean",
    "weight_decay": "share of a weight that a step of rate 1 takes off",
    "adagrad_start": "what the sum of squares begins with",
    "rmsprop_decay": "decay of the mean of squares",
    "momentum": "share of the last step that is taken again",
    "muon_momentum": "the same, of weights of two axes and more",
}
