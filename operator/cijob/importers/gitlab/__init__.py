"""`.gitlab-ci.yml`, as docs.gitlab.com/ci/yaml documents it."""
