"""What can be logged: how a value is made safe in the training thread and what it becomes in the journal."""
