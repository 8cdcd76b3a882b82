"""What people look at: tables of experiments and curves of trainings."""
