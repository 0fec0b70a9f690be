"""People and labels: projects, prompts, tasks, annotations, datasets. Knows nothing of training."""
