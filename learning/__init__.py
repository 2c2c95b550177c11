"""Online models: a learner folds the log into weights and appends what it foresees."""
