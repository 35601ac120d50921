"""What can be learned: the Task and the Study, their messages, the learners, one folder a task."""
