"""The bodies of `POST /v1/decisions`, as OpenAI's client sends them, and what a model is asked for each question."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from builderbrain.serve.decision_calibration import Kind
from builderbrain.serve.fields import MAX_NAME, RequestModel, refusal
from builderbrain.serve.said import Said

MAX_QUESTIONS = 400
MAX_CHOICES = 255
_YES_NO = ("yes", "no")


class Part(RequestModel):
    """A piece of a text: text, or JSON that is shown as text."""

    type: Literal["input_text", "output_text", "input_json"]
    text: str | None = None
    data: Any = None
    refused_fields: ClassVar = {
        "prompt_cache_breakpoint": "prompts that begin alike share their cache by themselves",
        "image_url": "send text",
        "file_id": "send text",
        "refusal": "send it as output_text",
    }

    @model_validator(mode="after")
    def _content_of_its_type(self) -> Part:
        if self.type == "input_json" and not isinstance(self.data, dict | list):
            raise refusal("data", "expected an object or an array of objects with type input_json")
        if self.type != "input_json" and self.text is None:
            raise refusal("text", f"expected text with type {self.type}")
        return self

    def shown(self) -> str:
        """As text."""
        return json.dumps(self.data, ensure_ascii=False) if self.type == "input_json" else self.text or ""


class InputMessage(RequestModel):
    """One turn of what is judged."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | Annotated[list[Part], Field(fail_fast=True)]
    ignored_fields: ClassVar = frozenset({"phase", "id", "status"})
    refused_fields: ClassVar = {
        name: "send calls and what they gave as the text of a message"
        for name in ("call_id", "name", "arguments", "input", "output")
    }


class Choice(RequestModel):
    """An option. A string and a boolean of the same text are told apart nowhere in a text, so one of the two may be used."""

    value: str | bool
    description: str | None = None

    def label(self) -> str:
        """What the model would answer."""
        return self.value if isinstance(self.value, str) else str(self.value).lower()


class Level(RequestModel):
    """A step of a scale."""

    label: str
    description: str | None = None


class Question(RequestModel):
    """A predicate (yes or no), a choice among `choices`, or a score on `levels`, the lowest first."""

    type: Kind
    instructions: str | Annotated[list[Part], Field(fail_fast=True)]
    name: str | None = Field(default=None, max_length=MAX_NAME)
    choices: Annotated[list[Choice], Field(fail_fast=True)] | None = Field(default=None, min_length=2, max_length=MAX_CHOICES)
    levels: Annotated[list[Level], Field(fail_fast=True)] | None = Field(default=None, min_length=2, max_length=MAX_CHOICES)

    @model_validator(mode="after")
    def _options_of_its_type(self) -> Question:
        for field, kind in (("choices", "choice"), ("levels", "score")):
            given = getattr(self, field) is not None
            if given != (self.type == kind):
                raise refusal(field, f"{field} must be given with type {kind}, and only then")
        field = "choices" if self.type == "choice" else "levels"
        labels = self.labels()
        if not all(label.strip() for label in labels):
            raise refusal(field, "expected a text of at least one visible character for each option, got an empty one")
        if len(set(labels)) < len(labels):
            raise refusal(field, "expected options that are told apart by their texts, got the same text twice")
        if not shown(self.instructions).strip():
            raise refusal("instructions", "expected a question, got an empty text")
        return self

    def labels(self) -> list[str]:
        """The texts of the answers, in their order."""
        if self.choices is not None:
            return [choice.label() for choice in self.choices]
        return [level.label for level in self.levels or ()] if self.type == "score" else list(_YES_NO)

    def values(self) -> list[str | bool]:
        """What the answers stand for, in their order."""
        if self.choices is not None:
            return [choice.value for choice in self.choices]
        return list(self.labels()) if self.type == "score" else [True, False]

    def text(self) -> str:
        """The question as the model reads it."""
        options = [*(self.choices or ()), *(self.levels or ())]
        head = "\nThe levels, the lowest first:" if self.type == "score" else "\nThe options:"
        lines = [
            f"\n- {label}" + (f": {option.description}" if option.description else "")
            for label, option in zip(self.labels(), options, strict=False)
        ]
        described = head + "".join(lines) if self.type == "score" or any(option.description for option in options) else ""
        return f"{shown(self.instructions)}{described}\nAnswer with one of: {', '.join(self.labels())}."


class DecisionRequest(RequestModel):
    """The body. Beside OpenAI's: `require_calibration` refuses where nothing was fitted, `level` chooses the error level, and
    `domain` the threshold of confidence under which an answer is deferred."""

    model: str | None = Field(default=None, max_length=MAX_NAME)
    input: str | Annotated[list[InputMessage], Field(fail_fast=True)]
    questions: Annotated[list[Question], Field(fail_fast=True)] = Field(min_length=1, max_length=MAX_QUESTIONS)
    require_calibration: bool = False
    level: float | None = Field(default=None, gt=0, lt=1)
    domain: str | None = Field(default=None, min_length=1, max_length=MAX_NAME)
    ignored_fields: ClassVar = frozenset({"safety_identifier", "prompt_cache_key", "user", "metadata"})
    refused_fields: ClassVar = {"prompt_cache_options": "prompts that begin alike share their cache by themselves"}

    @model_validator(mode="after")
    def _something_to_judge(self) -> DecisionRequest:
        if not self.input:
            raise refusal("input", "expected a text or at least one message")
        return self


class LabelledQuestion(RequestModel):
    """One row of what a calibration is fitted on: an input, one question, and the value of its right answer."""

    input: str | Annotated[list[InputMessage], Field(fail_fast=True)]
    question: Question
    answer: str | bool

    @model_validator(mode="after")
    def _an_answer_of_the_question(self) -> LabelledQuestion:
        self.right()
        return self

    def right(self) -> int:
        """The place of the right answer."""
        for place, value in enumerate(self.question.values()):
            if value == self.answer and type(value) is type(self.answer):
                return place
        raise refusal("answer", f"expected one of {self.question.values()}, got {self.answer!r}")


def shown(content: str | list[Part]) -> str:
    """A text or its parts as one text."""
    return content if isinstance(content, str) else "\n".join(part.shown() for part in content)


def conversation(given: str | list[InputMessage], question: Question) -> list[Said]:
    """What is said up to the question. What is judged comes first, so that all questions share its cache."""
    if isinstance(given, str):
        return [Said(role="user", text=f"{given}\n\n{question.text()}")]
    said = [
        Said(role="system" if message.role == "developer" else message.role, text=shown(message.content)) for message in given
    ]
    return [*said, Said(role="user", text=question.text())]
