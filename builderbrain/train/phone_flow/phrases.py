"""How people say what is to be done with a call. The language of the tables: `builderbrain.train.spoken.templates`."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

from builderbrain.train.spoken import Templates

PHRASES = {
    "greet": Templates("""
        (answer|take|accept|pick up) the call{tongue}{words}
        (answer|take) the phone{tongue}{words}
        (greet|welcome) (the caller|them|whoever calls){tongue}{words}
        (say hello|say good day) (to the caller|to them|){tongue}
        (pick up|answer){tongue} and (greet|welcome) (the caller|them){words}
        ~the (caller|call) (should|must) be (greeted|answered|taken){tongue}{words}
    """),
    "verify": Templates("""
        (ask|ask them|ask the caller) for (the|their) {method}{tries}
        (verify|check|identify) (the caller|them|who it is) (with|by|using) (the|their) {method}{tries}
        (check|verify|confirm|request) (the|their) {method}{tries}
        (make sure|find out) who (calls|it is) (with|by) (the|their) {method}{tries}
        (have|let) them (give|say|prove) (the|their) {method}{tries}
        ~(the caller|they) (must|has to|have to|should) (give|say) (the|their) {method}{tries}
        ~I (want|need) (the|their) {method}{tries}
    """),
    "verify_code": Templates("""
        send a (one-time code|code|one time code) to {number} and (ask for it|check it|verify them with it){tries}
        (verify|identify|check) (the caller|them) (with|by) a (one-time code|code|one time code) (sent to|to) {number}{tries}
        (verify|check|identify) (the caller|them) (with|by|using) a (one-time code|one time code){tries}
        (ask|ask them) for (a|the) (one-time code|one time code) (sent to {number}|that goes to {number}){tries}
        ask for (a|the) (one-time code|one time code){tries}
    """),
    "verify_any": Templates("""
        (verify|identify) (the caller|them|who calls)
        (make sure|find out|check) who (calls|it is|is calling)
        ~(the caller|they) must be (verified|identified)
    """),
    "intent": Templates("""
        (ask|find out|understand|see|hear) (what|why) (they|the caller) (want|need|is calling|are calling|call)(| about)
        (ask|find out|see) what (it is about|the call is about|the matter is|this is about)
        (ask for|find out) (the reason|their reason|their wish|the topic) (of|for) (the call|calling)
        ~what (do they|does the caller) (want|need)
    """),
    "question": Templates("""
        ask( them| the caller|) {question}
        (put|pose) the question {question} (to them|to the caller|)
        (find out|ask) what (they|the caller) (want|need|wants) (with|by) the question {question}
        ~(they|the caller) should be asked {question}
    """),
    "account": Templates("""
        (look up|pull up|read|open|fetch|get|check|load) (the|their) (account|record|customer record|file)
        (look|have a look) at (the|their) (account|record|file)
        (look|check) (the|their) (account|record) up
        ~I (want|need) (the|their) (account|record)
    """),
    "note": Templates("""
        (write|make|add|leave|take) a note: {text}
        (write|put|add) {text} (into|in|to) (the|their) (record|account|file)
        (note|note down|write down|record|put down) {text}
        (add|write|leave) the note {text}
        ~(the|their) (record|account) (should|must) say {text}
    """),
    "say": Templates("""
        say {text}( to them| to the caller|)
        tell (them|the caller|her|him) {text}
        (let|inform) (them|the caller) (know|hear) {text}
        (answer|reply)( with|) {text}
        ~(they|the caller) should (hear|be told) {text}
    """),
    "hold": Templates("""
        (put|place) (them|the caller|the call) on hold{wait}
        (let|have|make) (them|the caller) wait{wait}
        (hold the call|hold the line|play music){wait}
        (park|hold) (them|the caller){wait}
        ~(they|the caller) (can|should|must) wait{wait}
    """),
    "take_up": Templates("""
        (take|pick) (the call|them) (up|back) (again|)
        (come|go|get) back to (the caller|them|the call)
        (resume|continue) (the call|the conversation)
        (fetch|take) (them|the caller) off hold
    """),
    "transfer": Templates("""
        (transfer|hand|hand over|pass|connect|forward|put through) (them|the caller|the call) to {team}
        (put|hand) (them|the caller|the call) (through|over) to {team}
        (give|pass) (them|the call) (to|on to|over to) {team}
        ~{team} (takes|should take|must take) (over|the call|it)
        ~(they|the caller) (should|must) (talk|speak) to {team}
    """),
    "callback": Templates("""
        (promise|arrange|offer|schedule|book|plan) a (callback|call back|call) {when}{there}
        (call|ring|phone) (them|the caller) (back|again){there} {when}
        (promise|say) (to call|that we call) (them|) back {when}{there}
        (make|set up) (an appointment|a date) for a (callback|call back) {when}{there}
        ~we (call|will call|shall call) (them|the caller) back {when}{there}
    """),
    "escalate": Templates("""
        (put|move) (the call|them|the caller) (at|to) the (head|front|top) of the queue{words}
        escalate (the call|it|this){words}
        (move|put) (the call|them) (up|first) in the queue{words}
    """),
    "if_urgent_transfer": Templates("""
        if (it is|the matter is|this is) urgent, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if (it|this|the matter) is urgent
        if (they|the caller) cannot wait, (transfer|hand over|pass|connect|put through) (them|the call) to {team}
    """),
    "if_urgent_else_callback": Templates("""
        if (it is|the matter is|this is) urgent, (transfer|hand over|pass|connect|put through) (them|the call) to {team}, (otherwise|else|if not) (call|ring|phone) (them|) back {when}
        (transfer|hand over|pass|connect) (them|the caller) to {team} if (it|this|the matter) is urgent, (otherwise|else) (call|ring) them back {when}
        if (they|the caller) cannot wait, (transfer|hand over|pass|connect) (them|the call) to {team}, (otherwise|else|if they can) (arrange|promise) a (callback|call back) {when}
    """),
    "if_topic_transfer": Templates("""
        if (it is|the call is|this is) about {topic}, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if (it is|the call is) about {topic}
        if the (topic|matter|subject) is {topic}, (transfer|hand over|pass|connect|put through) (them|the call|) to {team}
    """),
    "if_account_say": Templates("""
        if {state}, (say|tell them|answer|reply) {text}
        (say|tell them|tell the caller) {text} if {state}
        (look up|check|read|look at) (the|their) (account|record) and if {state}, (say|tell them) {text}
    """),
    "if_account_transfer": Templates("""
        if {state}, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if {state}
        (look up|check|read) (the|their) (account|record) and if {state}, (transfer|hand over|pass|connect) (them|the call) to {team}
    """),
    "if_free_transfer": Templates("""
        (put|place) (them|the caller|the call) on hold{wait} and (transfer|hand over|pass) (them|the call) to {team} if (somebody|someone) is free
        (let|have) (them|the caller) wait{wait} and if (somebody|someone|a person|an agent) is free, (transfer|hand over|pass|connect) (them|the call) to {team}
        (hold|park) (them|the caller){wait} and (transfer|hand over|connect) them to {team} if (somebody|someone|anybody) is free
    """),
}
"""By kind of clause."""

METHODS = {
    "pin": ("PIN", "pin", "PIN code", "secret number", "pin number"),
    "birth_date": ("birth date", "date of birth", "birthday", "birthdate", "day of birth"),
    "one_time_code": ("one-time code", "one time code"),
}
TONGUES = {"en": "English", "de": "German", "fr": "French", "es": "Spanish"}
TEAMS = {
    "billing": ("billing", "the billing team", "the billing department", "billing", "the people of billing"),
    "orders": ("orders", "the orders team", "the order team", "the order department", "orders"),
    "technical": ("technical", "the technical team", "technical support", "the technicians", "the technical department"),
    "complaints": ("complaints", "the complaints team", "the complaints department", "complaints"),
    "reception": ("reception", "the reception", "the front desk", "reception"),
}
TOPICS = {
    "billing": ("billing", "a bill", "an invoice", "billing"),
    "order": ("an order", "orders", "an order"),
    "technical": ("a technical problem", "something technical", "a technical matter"),
    "complaint": ("a complaint", "a complaint", "complaining"),
    "other": ("something else", "anything else", "other things"),
}
STATES = {
    "blocked": ("the account is blocked", "their account is blocked", "they are blocked", "it is blocked", "the customer is blocked"),
    "owed_cents": ("they owe more than {amount} cents", "more than {amount} cents are owed", "they have to pay more than {amount} cents", "the caller owes over {amount} cents"),
    "open_cases": ("there are more than {amount} open cases", "they have more than {amount} open cases", "more than {amount} cases are open", "they have over {amount} open cases"),
}
TRIES = (" with {attempts} tries", " with at most {attempts} tries", ", {attempts} tries", " and give them {attempts} tries", " in {attempts} attempts", " with {attempts} attempts")
WAIT = (" for {seconds} seconds", " for at most {seconds} seconds", " for up to {seconds} seconds", ", {seconds} seconds at most", " no longer than {seconds} seconds", " {seconds} seconds", " for {seconds} s")
WHEN = ("in {minutes} minutes", "after {minutes} minutes", "in {minutes} min", "within {minutes} minutes", "{minutes} minutes from now", "{minutes} minutes later")
THERE = (" at {number}", " on {number}", " under {number}", " at the number {number}", " on the number {number}")
WORDS = (" with {words}", " with the words {words}", " and say {words}", " saying {words}", ": {words}", " by saying {words}")
QUESTIONS = ("What can I do for you?", "How can I help you?", "How may I help?", "What is the {x} about?", "Is it about the {x}?", "What do you need?", "Why do you call?", "What happened to the {x}?",
             "Which {x} do you mean?", "What is wrong with the {x}?", "Do you call about {x} {y}?", "May I ask what this is about?")  # fmt: skip
SENTENCES = ("The {x} is ready.", "Your {x} is on its way.", "We have sent the {x} to {n}.", "Please wait for the {x}.", "We are looking into the {x}.", "the {x} was late", "wants the {x} back", "asks for {n}",
             "{n} will take care of the {x}", "Your {x} needs a new {y}.", "The {x} has been paid.", "{x} {y}", "{x}", "Sorry about the {x}.", "the {x} does not work", "call {n} about the {x}", "Thank you for the {x}.",
             "Your {x} is blocked.", "We close at {h}.", "The {y} comes on {d}.", "no {x} today", "prefers {d}", "has moved to {x} {y}", "Please pay the {x} first.", "likes the {x} and the {y}")  # fmt: skip
GREETINGS = ("Hello, this is {n}.", "Welcome to {x}.", "Good day, you speak to {n}.", "Hi, {n} here.", "Hello and welcome to {x} {y}.", "This is {x}, how are you?", "Good morning from {x}.")
HOLDING = ("One moment please.", "We are sorry about the {x}.", "Please hold, {n} will be with you.", "All lines are busy.", "{n} is on the way.", "Your call matters to {x}.")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
