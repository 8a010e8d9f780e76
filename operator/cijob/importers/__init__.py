"""Other systems' files turned into CiJobs. Pure: files in, CiJobs and findings out."""
