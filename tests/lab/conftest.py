"""The images of the docker tier, which this tier hands into the lab."""

from tests.docker.conftest import images

__all__ = ["images"]
