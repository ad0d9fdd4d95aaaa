"""How people say what is to be done in a turn of a conversation. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "look_up": Templates("""
        (look up|search for|find|research|look for) {topic}
        (look|search|check) in the sources (for|about) {topic}
        (find out|see|check) what the sources (say|know|tell) (about|on|of) {topic}
        (find|get|fetch) a passage (about|on) {topic}
        ~what do the sources (say|know) (about|on) {topic}
        ~I (want|need) a passage (about|on) {topic}
        (consult|go through|read) the sources (about|on) {topic}
    """),
    "look_up_two": Templates("""
        (look up|search for|find|research) {topic} and {other}
        (find|get) passages (about|on) {topic} and {other}
        (look up|research) both {topic} and {other}
    """),
    "answer": Templates("""
        (answer|say|reply|respond)( with|) {text}
        (tell|give) (them|the person|the user) {text}
        (let|have) them (know|hear|read) {text}
        ~the (answer|reply) is {text}
        (write|send) back {text}
    """),
    "answer_passage": Templates("""
        (answer|say|reply|respond)( with|) {text} (with|and give|and add|and show) the passage
        (tell|give) (them|the person|the user) {text} (together with|with|and) the passage
        ~the (answer|reply) is {text} (with|and) the passage
        (give|show) (them|the user) the passage (with|under) the words {text}
    """),
    "answer_citation": Templates("""
        (answer|say|reply|respond)( with|) {text} and (cite|quote) (it|the passage|the source)
        (tell|give) (them|the person|the user) {text} (with|and) (a citation|the citation|the quotation)
        (cite|quote) (it|the passage|the source) (under|with) the words {text}
        ~the (answer|reply) is {text} (with|and) (a citation|the citation)
    """),
    "ask": Templates("""
        ask( them| the person| the user| back|) {question}
        (put|pose) the question {question} (to them|)
        ~the question (is|to them is) {question}
        (let|have) them answer {question}
    """),
    "ask_passage": Templates("""
        (show|give) (them|the user) the passage and ask {question}
        ask( them| the user|) {question} about the passage
        ask {question} (with|and show) the passage
    """),
    "advise": Templates("""
        (give|offer) (them|the person|the user|) {field} advice{source}: {text}
        (advise|counsel) (them|the person|) {text} as {field} advice{source}
        (say|tell them) {text} as {field} advice{source}
        ~the {field} advice{source} is {text}
        (give|offer) the {field} advice {text}{source}
    """),
    "refuse": Templates("""
        (refuse|decline|say no|turn it down)( this| it| that|), (because|since|as) {reason}
        (refuse|decline|say no) (because|since|as) {reason}
        ~{reason}, so (refuse|decline|say no)
        ~no, {reason}
    """),
    "refuse_words": Templates("""
        (refuse|decline|say no), (because|since|as) {reason}, with the words {text}
        (refuse|decline) (because|since|as) {reason} and say {text}
        ~{reason}, so (refuse|decline|say no) with {text}
    """),
    "need_information": Templates("""
        say (that|) (you need|we need|more) (more |)information (is needed|){missing}
        (ask|beg) for more information{missing}
        ~(you need|we need|there has to be) more information{missing}
        (tell them|say) that (something is missing|it is not enough){missing}
    """),
    "if_found_answer": Templates("""
        if (the sources speak of|there is something about|you find something about) {topic}, (answer|say|reply) {text} with the passage
        (look up|search for) {topic} and if (there is something|something is found|you find it), (answer|say) {text} with the passage
        (answer|say) {text} with the passage if (the sources speak of|you find something about) {topic}
    """),
    "if_not_found": Templates("""
        (look up|search for|find) {topic} and if (there is nothing|nothing is found|you find nothing), (say that you need more information|ask for more information)
        if (the sources do not speak of|there is nothing about|you find nothing about) {topic}, (say that you need more information|ask for more information)
        (say that you need more information|ask for more information) if (there is nothing about|you find nothing about) {topic}
    """),
    "if_many_else_ask": Templates("""
        (look up|search for) {topic}; if more than {count} sources speak of it, (answer|say) {text}, (otherwise|else|if not) ask {question}
        if more than {count} sources speak of {topic}, (answer|say|reply) {text}, (otherwise|else|if not) ask {question}
    """),
}
"""By kind of clause."""

SUBJECTS = ("the assistant", "the bot", "the agent", "it")
SOURCE = (" from the source", " from that passage", " resting on the source", " from the passage", " with its source", "")
MISSING = (", namely {missing}", ": {missing}", ", {missing} is missing", ", about {missing}", " about {missing}")
FIELDS = {"medical": ("medical", "medical", "health"), "legal": ("legal", "legal", "law")}
REASONS = {
    "harmful": ("it is harmful", "this does harm", "it would be harmful", "it is dangerous", "this could hurt somebody"),
    "private": (
        "it is private",
        "this is private",
        "it is confidential",
        "that is a private matter",
        "it is nobody else's business",
    ),
    "unknown_to_me": (
        "you do not know it",
        "it is unknown to you",
        "you do not know that",
        "that is unknown",
        "you know nothing of it",
    ),
    "not_my_task": (
        "it is not your task",
        "this is not your task",
        "that is not your job",
        "it is not what you are here for",
        "this is no task of yours",
    ),
}
TOPICS = (
    "{x}",
    "{x}",
    "{x} {y}",
    "the {x} of {n}",
    "how to mend a {x}",
    "{n}",
    "the price of {x}",
    "{x} for {y}",
    "headache",
    "sleep",
    "a rental contract",
    "back pain",
    "notice periods",
    "opening hours on {d}",
)
TEXTS = ("The {x} is ready.", "It is on {d}.", "{n} knows the {x}.", "You can get the {x} at {h}.", "Yes, the {x} is free.", "No {x} today.", "{x} {y}", "That depends on the {x}.", "Try the {x} first.", "We open at {h}.",
         "The {x} costs {k} euros.", "Ask {n} about the {x}.", "I am glad to help.", "Thank you, {n}.")  # fmt: skip
ADVICE = ("Drink more water.", "See a doctor about the {x}.", "Rest for {k} hours.", "Keep the {x} warm.", "Write to {n} before {d}.", "Keep the contract.", "Pay the {x} first.", "Take a walk every {d}.", "Sign nothing before {d}.",
          "Ask for the {x} in writing.", "Avoid {x} for {k} days.", "Give notice of {k} days.")  # fmt: skip
QUESTIONS = ("Which {x} do you mean?", "What is the {x} for?", "When did the {x} begin?", "Do you want the {x} or the {y}?", "Is it about {n}?", "How long have you had the {x}?", "Shall I go on?", "What do you need?", "How old is the {x}?",
             "Where is the {x}?", "Can you say more about the {x}?", "Is {d} fine?")  # fmt: skip
MISSED = ("{x}", "the {x}", "the date", "the name of the {x}", "your address", "the {x} of {n}")
