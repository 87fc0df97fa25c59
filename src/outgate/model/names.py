"""The name of a resource or a pod: by itself, because everything needs it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """The namespace and name of a resource, a Service or a pod."""

    namespace: str
    name: str

    def __str__(self) -> str:
        """Render as `name.namespace`, the shortest form that is valid everywhere."""
        return f"{self.name}.{self.namespace}"
