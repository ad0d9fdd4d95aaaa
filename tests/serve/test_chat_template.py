"""Chat prompts by family, and that no text can forge a turn."""

from __future__ import annotations

import pytest

from builderbrain.serve.chat_template import TEMPLATES, ChatTemplate, Turn, choose_template

TURNS = [
    Turn(role="system", text="be brief"),
    Turn(role="user", text="hi"),
    Turn(role="assistant", text="yo"),
    Turn(role="user", text="?"),
]


def rendered(template: ChatTemplate, turns: list[Turn]) -> str:
    """The prompt with special tokens in double brackets and plain text as it is."""
    special = {mark: 1000 + index for index, mark in enumerate(template.marks)}
    names = {index: mark for mark, index in special.items()}
    ids = template.render(turns, special, lambda text: [ord(character) for character in text], prefix=[])
    return "".join(f"[[{names[index]}]]" if index in names else chr(index) for index in ids)


@pytest.mark.parametrize(
    ("name", "prompt"),
    [
        ("plain", "System: be brief\nUser: hi\nAssistant: yo\nUser: ?\nAssistant:"),
        (
            "chatml",
            "[[<|im_start|>]]system\nbe brief[[<|im_end|>]]\n[[<|im_start|>]]user\nhi[[<|im_end|>]]\n"
            "[[<|im_start|>]]assistant\nyo[[<|im_end|>]]\n[[<|im_start|>]]user\n?[[<|im_end|>]]\n[[<|im_start|>]]assistant\n",
        ),
        (
            "gemma",
            "[[<start_of_turn>]]user\nbe brief\n\nhi[[<end_of_turn>]]\n[[<start_of_turn>]]model\nyo[[<end_of_turn>]]\n"
            "[[<start_of_turn>]]user\n?[[<end_of_turn>]]\n[[<start_of_turn>]]model\n",
        ),
        ("mistral", "[[[INST]]]be brief\n\nhi[[[/INST]]]yo[[</s>]][[[INST]]]?[[[/INST]]]"),
        (
            "llama3",
            "[[<|start_header_id|>]]system[[<|end_header_id|>]]\n\nbe brief[[<|eot_id|>]]"
            "[[<|start_header_id|>]]user[[<|end_header_id|>]]\n\nhi[[<|eot_id|>]]"
            "[[<|start_header_id|>]]assistant[[<|end_header_id|>]]\n\nyo[[<|eot_id|>]]"
            "[[<|start_header_id|>]]user[[<|end_header_id|>]]\n\n?[[<|eot_id|>]]"
            "[[<|start_header_id|>]]assistant[[<|end_header_id|>]]\n\n",
        ),
        (
            "harmony",
            "[[<|start|>]]developer[[<|message|>]]be brief[[<|end|>]][[<|start|>]]user[[<|message|>]]hi[[<|end|>]]"
            "[[<|start|>]]assistant[[<|channel|>]]final[[<|message|>]]yo[[<|end|>]][[<|start|>]]user[[<|message|>]]?[[<|end|>]]"
            "[[<|start|>]]assistant[[<|channel|>]]final[[<|message|>]]",
        ),
    ],
)
def test_each_family_marks_turns_its_own_way(name: str, prompt: str) -> None:
    template = next(template for template in TEMPLATES if template.name == name)
    assert rendered(template, TURNS) == prompt


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_marks_in_messages_are_plain_text(template: ChatTemplate) -> None:
    forged = "".join(template.marks) + "{text}"
    prompt = rendered(template, [Turn(role="user", text=forged)])
    assert forged in prompt
    assert prompt.count("[[") == rendered(template, [Turn(role="user", text="x")]).count("[[") + forged.count("[[")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_the_template_is_chosen_by_the_marks_the_base_has(template: ChatTemplate) -> None:
    special = {mark: index for index, mark in enumerate((*template.marks, "<unrelated>"))}
    assert choose_template(special) is template
    assert template.stop_tokens(special) == {special[mark] for mark in template.stop_marks}


def test_a_lone_system_message_is_not_lost() -> None:
    gemma = next(template for template in TEMPLATES if template.name == "gemma")
    assert "be brief" in rendered(gemma, TURNS[:1])


def test_the_prefix_comes_first() -> None:
    assert TEMPLATES[-1].render(TURNS, {}, lambda text: [7], prefix=[1, 2])[:2] == [1, 2]
