"""The tests, as a package: one of the references brings a package of that name, which must not be found first."""
