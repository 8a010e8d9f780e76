"""Makes the CustomResourceDefinition from the models: `python -m cijob.crdgen --check | --write`."""
