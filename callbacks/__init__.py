"""Lightning callbacks: they read what steps return, and know no concrete module."""
