"""What people say to an assistant that is no request for a file: greetings, thanks, questions about it, and what it may not do."""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

import random

from builderbrain.train.goals.phrases import templates
from builderbrain.train.goals.skins import skin_folder, skin_path, skin_phrase
from builderbrain.train.names import PEOPLE

_OPENERS = {
    "greet": """hello;hi;hey;hello there;hi there;hey there;good morning;good afternoon;good evening;good day;morning;evening;yo;hiya;howdy;
        greetings;hello again;hi again;hey you;hello builder;hi builderbrain;hey builderbrain;hello assistant;nice to meet you;
        nice to see you;how are you;how are you doing;how is it going;how do you do;what's up;are you there;anyone there;
        welcome back;good to see you;hello, how are you;hi, how are you today;hey, what's up;hello my friend;pleased to meet you""",
    "thank": """thanks;thank you;thanks a lot;thank you very much;thank you so much;many thanks;cheers;thanks for the help;thanks for your help;
        thank you for that;much appreciated;I appreciate it;that helped, thanks;great, thanks;perfect, thank you;nice, thanks;
        good job;great job;well done;nice work;that was helpful;very helpful;thanks, that is all I needed;awesome, thank you;
        I am grateful;thanks a bunch;thanks again;you were a great help;that is exactly what I needed, thanks;brilliant, thanks""",
    "farewell": """bye;goodbye;bye bye;good bye;see you;see you later;see you tomorrow;see you soon;good night;that is all for today;
        that's all for now;I am done for today;I'm off;I have to go;I must go now;talk to you later;talk to you tomorrow;until next time;
        farewell;take care;so long;catch you later;later;have a good one;have a nice day;have a nice evening;signing off;
        time to go;I am leaving now;we are done here;until tomorrow;ciao;cya;bye for now;enough for today, bye""",
    "identify": """who are you;what are you;what is your name;what's your name;who am I talking to;who is this;tell me about yourself;
        describe yourself;tell me who you are;are you a bot;are you a robot;are you human;are you an AI;are you a person;what kind of
        assistant are you;what should I call you;do you have a name;say who you are;what model are you;which model are you;
        who made you;what is builderbrain;what are you called;who exactly are you;what sort of program are you""",
    "capabilities": """what can you do;what can you do for me;what are you able to do;how can you help me;how can you help;help;help me;
        what are your skills;what are your abilities;which tools do you have;what tools do you have;what commands do you know;
        which commands can I use;what can I ask you;what do you know how to do;what are you good at;what are you good for;
        list your skills;list your tools;list your abilities;tell me what you can do;show me what you can do;how do you work;
        how do I use you;what are my options;what else can you do;what do you do;which skills do you have;explain what you can do;
        what are you capable of;what is it you do;what things can you do;in what ways can you help""",
}
_PLACED = ("identify", "capabilities")
_REFUSED_TOO = (" and let me know", " and report back", " and say when you are done", " and tell me how it went", " and show me the result",
                " and tell me what broke", " everywhere", " in all files", " and show it to me")  # fmt: skip
_GREETED = ("greet", "thank", "farewell")

_REFUSED = """delete {f};remove {f};erase {f};wipe {f};rm {f};drop {f};delete the folder {d};remove the {d} directory;get rid of {f};
throw away {f};destroy {f};delete everything in {d};delete all files;remove all the tests;edit {f};change {f};modify {f};rewrite {f};
update {f};fix {f};fix the bug in {f};fix the {x};repair {f};patch {f};refactor {f};clean up {f};reformat {f};rename {f} to {g};
rename {f};move {f} to {d};move {f};copy {f} to {d};create {f};create a file called {f};make a new folder {d};make a new file;
write {f};write a test for {f};write a poem about {x};write a story;write me a song;add a line to {f};add {x} to {f};add a comment to {f};
append {x} to {f};replace {x} with {y};replace {x} in {f};insert {x} into {f};push to main;push the branch;push my changes;
commit this;commit {f};commit my changes;merge the branch;merge {x} into main;revert the last commit;tag a release;publish the package;
deploy to production;deploy {x};deploy the {x};ship it;release version 2;run {f};run the tests;run the tests in {d};run {x};
execute {f};execute {x};launch {x};start the server;stop the server;restart the {x};kill the process;install {x};pip install {x};
uninstall {x};upgrade {x};compile {f};build the project;build {x};train the model;download {x};upload {f};upload {f} to the cloud;
send {f} to {n};send an email to {n};email {n} about {x};mail {f} to {n};message {n};call {n};call my mother;buy {x};buy me a coffee;
order a pizza;order {x};pay the bill;transfer money to {n};book a flight;book a table for two;book a hotel;set an alarm;
set a reminder for {x};play some music;play a song;turn off the lights;turn on the {x};what's the weather;what is the weather like today;
how is the weather in Paris;tell me a joke;translate {f} into French;translate {x};draw a picture of {x};format the disk;format my disk;
shut down the machine;reboot;log in as root;give me root;chmod {f};sudo rm {d};encrypt {f};hack into the {x};drop the database;
truncate the {x} table;open a pull request;close the ticket;approve the pull request;assign it to {n};invite {n};post it to the forum;
generate an image;summarise the news;remember my name;tweet about {x};zip {d};unzip {f};sign {f};overwrite {f};lock {f}"""

CONVERSATION = {intent: templates(text) for intent, text in _OPENERS.items()} | {"refuse": templates(_REFUSED)}


def say(intent: str, rng: random.Random) -> str:
    """One utterance of a conversational intent."""
    text = rng.choice(CONVERSATION[intent])
    if intent in _PLACED and rng.random() < 0.15:
        text += rng.choice((" here", " in this repo", " with this code base", " for this project", " with my files"))
    if intent == "refuse":
        if rng.random() < 0.2:
            text += rng.choice(_REFUSED_TOO) if rng.random() < 0.5 else f" and {rng.choice(CONVERSATION[intent])}"
        for slot, make in (
            ("{f}", skin_path),
            ("{g}", skin_path),
            ("{d}", skin_folder),
            ("{x}", skin_phrase),
            ("{y}", skin_phrase),
        ):
            text = text.replace(slot, make(rng))
        return text.replace("{n}", rng.choice(PEOPLE))
    if intent in _GREETED and rng.random() < 0.15:
        text = f"{text} {rng.choice(PEOPLE)}"
    return text
