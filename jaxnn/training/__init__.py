"""Full-batch gradient descent, and minibatch training with any optimizer."""
