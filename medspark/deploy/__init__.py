"""What clusters need to run medspark."""
