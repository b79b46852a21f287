"""YAML whose mappings have each key once, as YAML has it; PyYAML takes the last one and drops what the others said."""

from typing import Any

import yaml


class UniqueKeys(yaml.SafeLoader):
    """For `yaml.load`: a key that a mapping has twice is an error as others are, at the line of the second."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        # before `<<` is resolved, whose keys give way to the mapping's own
        if isinstance(node, yaml.MappingNode):
            seen: dict[tuple[str, str], int] = {}
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue
                if (line := seen.get((key.tag, key.value))) is not None:
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key {key.value!r} is in line {line} already: put both under one",
                        problem_mark=key.start_mark,
                    )
                seen[key.tag, key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)
