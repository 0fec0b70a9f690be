"""What happens to a site in tests: processes are killed, the disk fills, the clock jumps."""
