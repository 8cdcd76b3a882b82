"""What people look at: tables of experiments."""
