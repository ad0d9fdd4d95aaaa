"""The fields of requests that offer tools, in the shape of chat completions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from builderbrain.serve.fields import RequestModel, refusal
from builderbrain.serve.toolbox import Choice, Toolbox, ToolFunction, argument_schema, make_toolbox

MAX_TOOLS = 128
FunctionName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
ChoiceMode = Literal["none", "auto", "required"]


def refuse_other_tools(tool: Any) -> Any:
    """A tool as it came, where it is a function; looked at before its other fields, which differ with the type.

    Raises:
        PydanticCustomError: it is something else.
    """
    if isinstance(tool, dict) and isinstance(kind := tool.get("type"), str) and kind != "function":
        raise refusal("type", f"expected function, got {kind!r:.80}; run other tools yourself, and send their text")
    return tool


class FunctionDefinition(RequestModel):
    """A function that may be called. Arguments are held to `parameters` unless `strict` is false."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | bool | None = None
    strict: bool | None = None

    def function(self, place: str) -> ToolFunction:
        """What a `Toolbox` needs of it.

        Args:
            place: where the definition stands in the request.

        Raises:
            InvalidRequestError: the parameters allow no object.
        """
        strict = self.strict is not False
        schema = argument_schema(self.parameters, strict=strict, place=f"{place}.parameters")
        return ToolFunction(
            name=self.name,
            description=self.description,
            schema=schema,
            shown=schema if self.parameters is None else self.parameters,
            place=f"{place}.parameters",
            name_place=f"{place}.name",
        )


class Tool(RequestModel):
    """One entry of `tools`."""

    type: Literal["function"]
    function: FunctionDefinition
    _its_type = model_validator(mode="before")(refuse_other_tools)


def offered(tools: list[Tool] | None, choice: Choice | None = None, *, parallel: bool = True) -> Toolbox | None:
    """The toolbox of `tools`; None when no function may be called.

    Raises:
        InvalidRequestError: the tools or the choice among them.
    """
    functions = [tool.function.function(f"tools.{index}.function") for index, tool in enumerate(tools or ())]
    return make_toolbox(functions, choice or Choice(), parallel=parallel)


class FunctionReference(RequestModel):
    """A function by its name."""

    name: FunctionName


class ToolReference(RequestModel):
    """A tool by the name of its function."""

    type: Literal["function"]
    function: FunctionReference


class AllowedTools(RequestModel):
    """Some of the tools, which may or must be called."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[ToolReference], Field(fail_fast=True)] = Field(min_length=1, max_length=MAX_TOOLS)


class ToolChoice(RequestModel):
    """`tool_choice` where it is an object: one function, or some."""

    type: Literal["function", "allowed_tools"]
    function: FunctionReference | None = None
    allowed_tools: AllowedTools | None = None

    @model_validator(mode="after")
    def _its_type_says_what_is_there(self) -> ToolChoice:
        for name in ("function", "allowed_tools"):
            if (self.type == name) != (getattr(self, name) is not None):
                raise refusal(name, f"{name} must be given with type {name}, and only then")
        return self

    def choice(self) -> Choice:
        """What it asks for."""
        if self.function is not None:
            return Choice(mode="required", names=(self.function.name,), one=True, place="tool_choice.function.name")
        allowed = self.allowed_tools
        names = tuple(tool.function.name for tool in allowed.tools) if allowed else ()
        return Choice(mode=allowed.mode if allowed else "auto", names=names, place="tool_choice.allowed_tools.tools")


class CalledFunction(RequestModel):
    """The function of an earlier call, with the JSON text of its arguments."""

    name: FunctionName
    arguments: str


class CalledTool(RequestModel):
    """A call that the assistant made earlier."""

    id: str = Field(min_length=1, max_length=256)
    type: Literal["function"]
    function: CalledFunction
