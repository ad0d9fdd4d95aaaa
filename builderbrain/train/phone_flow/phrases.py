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
        (get|take) (the phone|the line|it){tongue}{words}
        ~(somebody|someone|a caller) is on the (line|phone); (answer|pick up|greet them){tongue}
        ~(the|our) greeting (is|should be) in {language}
        (speak|talk) {language} (with|to) (them|the caller)
        (open|start|begin) (the call|the conversation){tongue}{words}
        ~the (phone|line) (rings|is ringing), (take it|answer it|pick it up){tongue}
    """),
    "verify": Templates("""
        (ask|ask them|ask the caller) for (the|their) {method}{tries}
        (verify|check|identify) (the caller|them|who it is) (with|by|using) (the|their) {method}{tries}
        (check|verify|confirm|request) (the|their) {method}{tries}
        (make sure|find out) who (calls|it is) (with|by) (the|their) {method}{tries}
        (have|let) them (give|say|prove) (the|their) {method}{tries}
        ~(the caller|they) (must|has to|have to|should) (give|say) (the|their) {method}{tries}
        ~I (want|need) (the|their) {method}{tries}
        ~(their|the) {method}, please{tries}
        (get|obtain|demand|take) (the|their) {method}{tries}
        ~(can|could) (they|the caller) (give|tell) (us|me) (the|their) {method}{tries}
        (use|take) the {method} (to verify|to identify|to check) (them|the caller){tries}
        ~what is (the|their) {method}{tries}
        (ask about|go for) (the|their) {method}{tries}
        ~(no go|nothing|no word) without (the|their) {method}{tries}
    """),
    "verify_code": Templates("""
        send a (one-time code|code|one time code) to {number} and (ask for it|check it|verify them with it){tries}
        (verify|identify|check) (the caller|them) (with|by) a (one-time code|code|one time code) (sent to|to) {number}{tries}
        (verify|check|identify) (the caller|them) (with|by|using) a (one-time code|one time code){tries}
        (ask|ask them) for (a|the) (one-time code|one time code) (sent to {number}|that goes to {number}){tries}
        ask for (a|the) (one-time code|one time code){tries}
        (text|message) a (one-time code|code) to {number} and (ask for it|check it){tries}
        ~a (one-time code|code) (to|for) {number} (should|must|will) (verify|identify) (them|the caller){tries}
        (use|take) a (one-time code|one time code) (sent to|on) {number}{tries}
        (use|take) a (one-time code|one time code) (to verify|to identify|to check) (them|the caller){tries}
        ~(they|the caller) (get|gets) a (one-time code|one time code) (on|at) {number}{tries}
    """),
    "verify_any": Templates("""
        (verify|identify) (the caller|them|who calls)
        (make sure|find out|check) who (calls|it is|is calling)
        ~(the caller|they) must be (verified|identified)
        ~who is (it|calling|on the line)
        (establish|check) (the|their) identity
        (see|prove) that it is really (them|the customer)
    """),
    "intent": Templates("""
        (ask|find out|understand|see|hear) (what|why) (they|the caller) (want|need|is calling|are calling|call)(| about)
        (ask|find out|see) what (it is about|the call is about|the matter is|this is about)
        (ask for|find out) (the reason|their reason|their wish|the topic) (of|for) (the call|calling)
        ~what (do they|does the caller) (want|need)
        ~what (is the call|is this) about
        (get to know|hear) (what|why) (they|the caller) (want|need|call|are calling)
        (let|have) (them|the caller) (say|tell|explain) what (they|it) (want|need|is about)
        (find out|ask) (how we can help|what we can do for) (them|)
        ~why does the caller (call|ring)
        (get|clarify|determine) (the|their) (wish|topic|concern)
    """),
    "question": Templates("""
        ask( them| the caller|) {question}
        (put|pose) the question {question} (to them|to the caller|)
        (find out|ask) what (they|the caller) (want|need|wants) (with|by) the question {question}
        ~(they|the caller) should be asked {question}
        the question (for them|) is {question}
        (let|have) (them|the caller) answer {question}
        (go on with|continue with|open with) the question {question}
    """),
    "account": Templates("""
        (look up|pull up|read|open|fetch|get|check|load) (the|their) (account|record|customer record|file)
        (look|have a look) at (the|their) (account|record|file)
        (look|check) (the|their) (account|record) up
        ~I (want|need) (the|their) (account|record)
        (bring|call) up (the|their) (account|record|file)
        give me (the|their) (account|customer record|record)
        ~what (does|is in) (the|their) (account|record|file) (say|)
        (consult|go to) (the|their) (account|record|file)
        (load|open) (the|their) customer (record|file)
    """),
    "note": Templates("""
        (write|make|add|leave|take) a note: {text}
        (write|put|add) {text} (into|in|to) (the|their) (record|account|file)
        (note|note down|write down|record|put down) {text}
        (add|write|leave) the note {text}
        ~(the|their) (record|account) (should|must) say {text}
        (put|enter|type|file) {text} (in|into) (the|their) (record|account|file)
        (leave|file|keep) {text} as a note
        (keep|store|save) (in the record|in their file|in the account) {text}
        ~the note (is|reads|says) {text}
        (make|take) a note (saying|that says|of) {text}
    """),
    "say": Templates("""
        say {text}( to them| to the caller|)
        tell (them|the caller|her|him) {text}
        (let|inform) (them|the caller) (know|hear) {text}
        (answer|reply)( with|) {text}
        ~(they|the caller) should (hear|be told) {text}
        (give|pass) them the message {text}
        ~the (answer|reply|message) (is|to them is) {text}
        (explain|announce|mention) {text}( to them| to the caller|)
        (speak|read out) {text}
        (let|have) (them|the caller) be told {text}
    """),
    "hold": Templates("""
        (put|place) (them|the caller|the call) on hold{wait}
        (let|have|make) (them|the caller) wait{wait}
        (hold the call|hold the line|play music){wait}
        (park|hold) (them|the caller){wait}
        ~(they|the caller) (can|should|must) wait{wait}
        ~(a|one) moment of music for (them|the caller){wait}
        (keep|leave) (them|the caller|the call) (on hold|waiting){wait}
        (ask|tell) (them|the caller) to (wait|hold|hold on){wait}
        ~hold{wait}, please
        ~the call (goes|is to go) on hold{wait}
        (pause|suspend) the call{wait}
    """),
    "take_up": Templates("""
        (take|pick) (the call|them) (up|back) (again|)
        (come|go|get) back to (the caller|them|the call)
        (resume|continue) (the call|the conversation)
        (fetch|take) (them|the caller) off hold
        (be|go) back (on the line|with them|with the caller)
        (end|stop) the (music|hold|waiting)
        (pick up|take) the call again
    """),
    "transfer": Templates("""
        (transfer|hand|hand over|pass|connect|forward|put through) (them|the caller|the call) to {team}
        (put|hand) (them|the caller|the call) (through|over) to {team}
        (give|pass) (them|the call) (to|on to|over to) {team}
        ~{team} (takes|should take|must take) (over|the call|it)
        ~(they|the caller) (should|must) (talk|speak) to {team}
        (route|send|direct|switch|move) (them|the caller|the call) (to|on to|over to) {team}
        ~{team} (is to|shall|will) (take|have|get|handle) (the call|them|it)
        (get|bring|fetch) {team} for (them|the caller)
        ~(it|the call) (goes|belongs|should go|must go) to {team}
        (link|join|bridge) (them|the caller|the call) (with|to) {team}
        let {team} (take|handle|deal with) (it|them|the call)
    """),
    "callback": Templates("""
        (promise|arrange|offer|schedule|book|plan) a (callback|call back|call) {when}{there}
        (call|ring|phone) (them|the caller) (back|again){there} {when}
        (promise|say) (to call|that we call) (them|) back {when}{there}
        (make|set up) (an appointment|a date) for a (callback|call back) {when}{there}
        ~we (call|will call|shall call) (them|the caller) back {when}{there}
        ~the (callback|call back) {when}{there}(, please|)
        (plan|set|fix) (a|the) (callback|call) for {when}{there}
        ~(they|the caller) (should|must|will) be (called|phoned|rung) back{there} {when}
        ~we (ring|phone|will phone|will ring) (them|the caller) (again|back){there} {when}
        (get in touch|be in touch) again{there} {when}
        (offer|suggest) to (ring|call|phone) (them|) (back|again){there} {when}
    """),
    "escalate": Templates("""
        (put|move) (the call|them|the caller) (at|to) the (head|front|top) of the queue{words}
        escalate (the call|it|this){words}
        (move|put) (the call|them) (up|first) in the queue{words}
        (give|grant) (them|the call) (priority|top priority) in the queue{words}
        ~(they|the call) (go|goes|comes|must go) to the (head|front|top) of the queue{words}
        (jump|skip) the queue with (them|the call){words}
        (push|bring) (them|the call) (to|up to) the (head|front|top) of the queue{words}
    """),
    "if_urgent_transfer": Templates("""
        if (it is|the matter is|this is) urgent, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if (it|this|the matter) is urgent
        if (they|the caller) cannot wait, (transfer|hand over|pass|connect|put through) (them|the call) to {team}
        (in case|when|provided) (it is|this is|the matter is) urgent, (transfer|pass|connect|send|route) (them|the call) to {team}
        ~(is it|is the matter|is this) urgent? then (transfer|pass|send|connect) (them|the call) to {team}
        (ask what they want|find out what it is about) and if (it is|that is) urgent, (transfer|pass|connect|send) (them|the call) to {team}
        (send|route|put) (them|the call) (on to|through to) {team} (when|in case|only if) (it is|this is) urgent
    """),
    "if_urgent_else_callback": Templates("""
        if (it is|the matter is|this is) urgent, (transfer|hand over|pass|connect|put through) (them|the call) to {team}, (otherwise|else|if not) (call|ring|phone) (them|) back {when}
        (transfer|hand over|pass|connect) (them|the caller) to {team} if (it|this|the matter) is urgent, (otherwise|else) (call|ring) them back {when}
        if (they|the caller) cannot wait, (transfer|hand over|pass|connect) (them|the call) to {team}, (otherwise|else|if they can) (arrange|promise) a (callback|call back) {when}
        (in case|when|provided) (it is|this is|the matter is) urgent, (transfer|pass|connect|send|route) (them|the call) to {team}, (otherwise|else|if not) (call|ring|phone) them back {when}
        ~(is it|is the matter|is this) urgent? then (transfer|pass|send|connect) (them|the call) to {team}, (otherwise|else|if not) (call|ring|phone) them back {when}
        (ask what they want|find out what it is about) and if (it is|that is) urgent, (transfer|pass|connect|send) (them|the call) to {team}, (otherwise|else|if not) (call|ring|phone) them back {when}
        (send|route|put) (them|the call) (on to|through to) {team} (when|in case|only if) (it is|this is) urgent, (otherwise|else|if not) (call|ring|phone) them back {when}
    """),
    "if_topic_transfer": Templates("""
        if (it is|the call is|this is) about {topic}, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if (it is|the call is) about {topic}
        if the (topic|matter|subject) is {topic}, (transfer|hand over|pass|connect|put through) (them|the call|) to {team}
        (in case|when) (it is|the call is|this is) about {topic}, (transfer|pass|send|connect|route) (them|the call) to {team}
        ~(is it|is this) about {topic}? then (transfer|pass|send|connect) (them|the call) to {team}
        (ask what they want|find out what it is about) and if it is {topic}, (transfer|pass|connect|send) (them|the call) to {team}
        (send|route|put) (them|the call) (on to|through to) {team} (when|in case|only if) (it is|this is) about {topic}
    """),
    "if_account_say": Templates("""
        if {state}, (say|tell them|answer|reply) {text}
        (say|tell them|tell the caller) {text} if {state}
        (look up|check|read|look at) (the|their) (account|record) and if {state}, (say|tell them) {text}
        (in case|when|provided) {state}, (say|tell them|tell the caller|explain) {text}
        (look up|check|open) (the|their) (account|record) and (say|tell them) {text} (if|when) {state}
        (tell the caller|let them know|explain) {text} (when|in case|only if) {state}
    """),
    "if_account_transfer": Templates("""
        if {state}, (transfer|hand over|pass|connect|put through) (them|the caller|the call|) to {team}
        (transfer|hand over|pass|connect) (them|the caller|the call) to {team} if {state}
        (look up|check|read) (the|their) (account|record) and if {state}, (transfer|hand over|pass|connect) (them|the call) to {team}
        (in case|when|provided) {state}, (transfer|pass|send|connect|route) (them|the call) to {team}
        (look up|check|open) (the|their) (account|record) and (transfer|pass|send) (them|the call) to {team} (if|when) {state}
        (send|route|put) (them|the call) (on to|through to) {team} (when|in case|only if) {state}
    """),
    "if_free_transfer": Templates("""
        (put|place) (them|the caller|the call) on hold{wait} and (transfer|hand over|pass) (them|the call) to {team} if (somebody|someone) is free
        (let|have) (them|the caller) wait{wait} and if (somebody|someone|a person|an agent) is free, (transfer|hand over|pass|connect) (them|the call) to {team}
        (hold|park) (them|the caller){wait} and (transfer|hand over|connect) them to {team} if (somebody|someone|anybody) is free
        (put|leave|keep) (them|the caller|the call) on hold{wait} and (when|as soon as) (somebody|someone|a person) is free, (transfer|pass|send|connect) (them|the call) to {team}
        (ask|tell) (them|the caller) to (wait|hold on){wait} and (pass|send|connect) them to {team} (if|when|in case) (somebody|someone|anybody) is free
        (let|have) (them|the caller) wait{wait}, (if|when|in case) (somebody|someone) is free (transfer|pass|connect) them to {team}
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
    "blocked": (
        "the account is blocked",
        "their account is blocked",
        "they are blocked",
        "it is blocked",
        "the customer is blocked",
    ),
    "owed_cents": (
        "they owe more than {amount} cents",
        "more than {amount} cents are owed",
        "they have to pay more than {amount} cents",
        "the caller owes over {amount} cents",
    ),
    "open_cases": (
        "there are more than {amount} open cases",
        "they have more than {amount} open cases",
        "more than {amount} cases are open",
        "they have over {amount} open cases",
    ),
}
TRIES = (
    " with {attempts} tries",
    " with at most {attempts} tries",
    ", {attempts} tries",
    " and give them {attempts} tries",
    " in {attempts} attempts",
    " with {attempts} attempts",
)
WAIT = (
    " for {seconds} seconds",
    " for at most {seconds} seconds",
    " for up to {seconds} seconds",
    ", {seconds} seconds at most",
    " no longer than {seconds} seconds",
    " {seconds} seconds",
    " for {seconds} s",
)
WHEN = (
    "in {minutes} minutes",
    "after {minutes} minutes",
    "in {minutes} min",
    "within {minutes} minutes",
    "{minutes} minutes from now",
    "{minutes} minutes later",
)
THERE = (" at {number}", " on {number}", " under {number}", " at the number {number}", " on the number {number}")
SUBJECTS = ("the assistant", "the bot", "the agent", "the system")
WORDS = (" with {words}", " with the words {words}", " and say {words}", " saying {words}", ": {words}", " by saying {words}")
QUESTIONS = ("What can I do for you?", "How can I help you?", "How may I help?", "What is the {x} about?", "Is it about the {x}?", "What do you need?", "Why do you call?", "What happened to the {x}?",
             "Which {x} do you mean?", "What is wrong with the {x}?", "Do you call about {x} {y}?", "May I ask what this is about?")  # fmt: skip
SENTENCES = ("The {x} is ready.", "Your {x} is on its way.", "We have sent the {x} to {n}.", "Please wait for the {x}.", "We are looking into the {x}.", "the {x} was late", "wants the {x} back", "asks for {n}",
             "{n} will take care of the {x}", "Your {x} needs a new {y}.", "The {x} has been paid.", "{x} {y}", "{x}", "Sorry about the {x}.", "the {x} does not work", "call {n} about the {x}", "Thank you for the {x}.",
             "Your {x} is blocked.", "We close at {h}.", "The {y} comes on {d}.", "no {x} today", "prefers {d}", "has moved to {x} {y}", "Please pay the {x} first.", "likes the {x} and the {y}")  # fmt: skip
GREETINGS = (
    "Hello, this is {n}.",
    "Welcome to {x}.",
    "Good day, you speak to {n}.",
    "Hi, {n} here.",
    "Hello and welcome to {x} {y}.",
    "This is {x}, how are you?",
    "Good morning from {x}.",
)
HOLDING = (
    "One moment please.",
    "We are sorry about the {x}.",
    "Please hold, {n} will be with you.",
    "All lines are busy.",
    "{n} is on the way.",
    "Your call matters to {x}.",
)
