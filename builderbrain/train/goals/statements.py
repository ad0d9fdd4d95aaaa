"""Wordings that are no command: a need, a topic or a place comes first, and the request after it or not at all.

{x} is a pattern, {f} a file, {d} a folder. `SEARCH_UNDER` names both a folder and a pattern; its first wordings are the plain ones.
"""

# ruff: noqa: E501 - tables of phrases
from __future__ import annotations

SEARCH_STATEMENTS = """
I need {x};I want {x};I am looking for {x};I'm looking for {x};I am searching for {x};I am hunting {x};I seek {x};I need to find {x};
I want to find {x};I have to find {x};I would like to find {x};I'd like to know where {x} is;I want to know where {x} is;
I need to know which files have {x};I want to know who uses {x};I wonder where {x} is;I wonder which file has {x};
I was wondering where {x} went;I cannot find {x};I can't find {x};I can't see {x} anywhere;I do not know where {x} is;I don't know where {x} lives;
I forgot where {x} is;I lost {x};I keep losing {x};I could use {x};I am curious about {x};I am interested in {x};I care about {x};
my task is to find {x};my goal is to find {x};the task is to find {x};the question is where {x} is;the search is for {x};what I want is {x};
what I need is {x};what I am looking for is {x};all I want is {x};all I need is where {x} is;it is about {x};this is about {x};
{x}: where is it;{x}: where;{x}: find it;{x}: search for it;{x} - where is it;{x} - find that;{x}, where is it;{x}, where is that used;
{x}, find it;{x} please;{x} is what I need;{x} is what I am looking for;{x} is what we want;{x} must be somewhere;{x} should be somewhere;
{x} has to be somewhere;{x} is in here somewhere;{x} is somewhere in the code, where;{x} must be here, find it;{x} seems to be lost;{x} is missing, find it;
there is {x} in the code, find it;there is {x}, look for it;there should be {x}, look for it;there must be {x} somewhere;
there must be {x}, please find it;there was {x} somewhere;there ought to be {x};we have {x}, find it;we have {x} in some file;
we used {x} once, where;we must have {x} in some place;we need {x};we need to find {x};we are looking for {x};we have to find {x};
someone wrote {x}, find it;somebody added {x}, where;someone put {x} into the code, find it;they say there is {x}, find it;
a file mentions {x}, which one;some file has {x}, find it;some files use {x}, which;one of the files has {x};
the code mentions {x}, where;the code has {x} in some place, look for it;let {x} be found;all about {x};everything about {x};everything on {x};
every place with {x};every mention of {x};all mentions of {x};all uses of {x};all hits for {x};all lines with {x};all files with {x};
the files that mention {x};the place where {x} is;the definition of {x};uses of {x};mentions of {x};references to {x};occurrences of {x};
search, for {x};search term {x};search term: {x};search: {x};find: {x};grep: {x};looking for {x};looking for {x} here;searching for {x};
in search of {x};on the hunt for {x};next I look for {x};after that I want {x};it would help to find {x};it would be good to know where {x} is;
it would be nice to see where {x} is used;time to find {x};
"""
SEARCH_UNDER = """
search {d} for {x};grep {d} for {x};look through {d} for {x};look in {d} for {x};search in {d} for {x};scan {d} for {x};check {d} for {x};
find in {d} {x};go through {d} for {x};go through {d} and find {x};go through {d} looking for {x};look into {d} and find {x};
look into {d} for {x};look around in {d} for {x};look all over {d} for {x};look everywhere in {d} for {x};explore {d} for {x};
examine {d} for {x};inspect {d} for {x};browse {d} for {x};crawl {d} for {x};sift {d} for {x};sift through {d} for {x};sweep {d} for {x};
read through {d} to find {x};walk through {d} and look for {x};walk {d} for {x};query {d} for {x};query {d} about {x};probe {d} for {x};
filter {d} for {x};filter {d} by {x};trawl {d} for {x};dig through {d} for {x};dig into {d} for {x};rummage in {d} for {x};
rummage through {d} for {x};scour {d} for {x};search all of {d} for {x};search the whole of {d} for {x};search everything in {d} for {x};
search the files in {d} for {x};search the files of {d} for {x};search through {d} for {x};search only {d} for {x};search just {d} for {x};
search {d} alone for {x};search nothing but {d} for {x};grep only {d} for {x};grep through {d} for {x};grep the files in {d} for {x};
run a search for {x} over {d};run a search of {d} for {x};run grep over {d} for {x};do a search of {d} for {x};start in {d} and find {x};
start at {d} and look for {x};begin in {d}, find {x};stay in {d} and search for {x};stay within {d}, look for {x};keep to {d} and find {x};
go to {d} and find {x};go to {d} and search for {x};go into {d} and look for {x};open up {d} and search for {x};enter {d}, search {x};
take {d} and find {x} in it;take {d} and search it for {x};use only {d} and find {x};limit the search to {d} and find {x};
limit yourself to {d}, find {x};confine the search to {d}, look for {x};narrow it down to {d} and search for {x};only in {d}: find {x};
only in {d}, search for {x};only under {d}, grep {x};just in {d}, look for {x};in {d} only, find {x};in {d}: {x};in {d}: find {x};
under {d}: search for {x};below {d}: look for {x};inside {d}: find {x};within {d}: grep {x};from {d} get {x};from {d}, get me {x};
from {d} fetch lines with {x};in {d}, where is {x};in {d}, which files have {x};in {d}, find whatever mentions {x};in {d} there is {x}, find it;
under {d} is {x}, find it;find {x}, but only in {d};find {x}, only in {d};find {x}, in {d};find {x} anywhere in {d};find {x} somewhere in {d};
find {x} in the files of {d};find {x} in the files under {d};find {x} in all of {d};find {x} among the files in {d};find all {x} in {d};
search for {x}, but only in {d};search for {x}, only under {d};search for {x} anywhere below {d};search for {x} in the files of {d};
search for {x} in all of {d};search for {x} and stay in {d};search for {x} with path {d};search for {x} starting at {d};search {x} at {d};
look for {x}, only in {d};look for {x} and keep to {d};look for {x} somewhere in {d};look for {x} in the files of {d};look for {x} starting from {d};
show all {x} that {d} has;show where {d} has {x};show me where {d} mentions {x};show me which files of {d} have {x};see if {d} has {x};
see where {d} mentions {x};see whether {d} mentions {x};check if {d} has {x};check whether {d} has {x};check whether {d} uses {x};
find out if {d} mentions {x};find out where {d} uses {x};tell me where {d} uses {x};tell me if {d} has {x};tell me which files in {d} have {x};
list all matches of {x} that {d} has;get all places of {d} that say {x};get me the lines of {d} with {x};ask {d} for {x};
"""
SEARCH_UNDER_QUESTIONS = """
does {d} have {x};does {d} mention {x};does {d} use {x};does {d} contain {x};does anything in {d} mention {x};does anything in {d} use {x};
does any file in {d} have {x};what in {d} mentions {x};what in {d} uses {x};what does {d} say about {x};what does {d} have on {x};
which files in {d} mention {x};which files in {d} have {x};which file in {d} has {x};which files under {d} use {x};which part of {d} has {x};
where in {d} is {x};where in {d} do we use {x};where in {d} can I find {x};where does {d} mention {x};where does {d} use {x};
where does {d} define {x};where under {d} is {x};who in {d} uses {x};is there {x} in {d};is {x} in {d};is {x} anywhere in {d};
is {x} somewhere under {d};is {x} mentioned in {d};is {x} used in {d};is {x} defined in {d};are there uses of {x} in {d};do we have {x} in {d};
do we use {x} in {d};do the files in {d} mention {x};do files under {d} have {x};has {d} got {x};can I find {x} in {d};any {x} in {d};
any sign of {x} in {d};anything about {x} in {d};how does {d} use {x};
"""
SEARCH_UNDER_STATEMENTS = """
I am looking for {x} in {d};I need {x} from {d};I want {x} from {d};I need to find {x} in {d};I want to find {x}, it is in {d};I want to know where {d} uses {x};
I think {x} is in {d};I think {d} has {x};I believe {d} has {x}, find it;I know {x} is in {d}, find it;I know that {d} mentions {x}, where;
I am in {d} and need {x};I am in {d} and look for {x};I work in {d}, find {x} there;I work on {d} and need {x};I lost {x} in {d};
I can't find {x} in {d};I cannot find {x} under {d};I wonder if {d} has {x};I wonder where {d} uses {x};I need everything about {x} in {d};
I am interested in {d}, search it for {x};the place is {d}, the word is {x};the folder is {d}, find {x};the folder is {d}, the pattern {x};
there is a folder {d}, find {x} in it;there is {x} in {d}, find it;there is {x} in {d}, where;there should be {x} in {d};there must be {x} in {d};
there must be {x} somewhere under {d};there was {x} in {d};{x} is in {d}, find it;{x} is in {d}, where;{x} should be in {d};{x} must be in {d};
{x} must be somewhere below {d};{x} has to be in {d};{x}, in {d};{x} in {d} please;{x} in {d};{x} in {d}, where;{x}: look in {d};{x}: search {d};
{d}: find {x};{d}: where is {x};{d}: search for {x};{d}: grep {x};{d} has {x}, find it;{d} has {x}, where;{d} mentions {x}, where;
{d} uses {x} somewhere;{d} should have {x};{d} must have {x} somewhere;{d} should mention {x}, find it;{d} is the folder, {x} the word;
{d}, search it for {x};{d}, look there for {x};we have {x} in {d};we keep {x} in {d}, find it;we put {x} into {d}, where;we use {x} in {d}, where;
we are in {d}, look for {x};some file in {d} has {x};a file in {d} mentions {x};one file in {d} has {x}, which;someone put {x} into {d};
all mentions of {x} in {d};all uses of {x} in {d};every mention of {x} in {d};everything on {x} in {d};uses of {x} in {d};mentions of {x} under {d};
looking for {x} in {d};looking in {d} for {x};searching {d} for {x};in {d} there should be {x};in {d} there must be {x};in {d} we have {x}, find it;
in {d} we use {x}, where;in {d} somebody wrote {x}, find it;in {d} I need {x};in {d} I am looking for {x};under {d} there is {x};
under {d} there should be {x}, find it;somewhere in {d} is {x};somewhere in {d} we use {x};somewhere under {d} there is {x}, find it;
"""
READ_STATEMENTS = """
I need {f};I want {f};I need to see {f};I want to see {f};I want to read {f};I need to read {f};I have to read {f};I must see {f};
I would like to see {f};I'd like to see {f};I would like to read {f};I'd like a look at {f};I want a look at {f};I need a look at {f};
I need the contents of {f};I want the contents of {f};I want the text of {f};I need the text of {f};I need what is in {f};I want to know what is in {f};
I want to know what {f} says;I need to know what {f} says;I would like to know what is in {f};I wonder what {f} says;I wonder what is in {f};
I am curious about {f};I am curious what is in {f};I am interested in {f};I forgot what {f} says;I forgot what is in {f};I don't know what {f} says;
I do not know what is in {f};I have not seen {f};I have never seen {f};I have never read {f};I could use {f};I could use a look at {f};
I'd like {f};I'd like {f} open;I want {f} open;I need {f} open;I want {f} on my screen;I need {f} on screen;I need {f} in front of me;
I am working on {f};I am working on {f}, show it;I have a question about {f}, open it;I was told to read {f};I should read {f};I mean {f};
my task is to read {f};my question is about {f};what I want is {f};what I need is {f};what I need to see is {f};all I want is {f};
the file is {f};the file I need is {f};the file I want is {f};the file I mean is {f};the file to read is {f};the contents of {f};
the contents of {f} please;the text of {f};the whole of {f};all of {f};contents of {f};text of {f};content of {f} please;a look at {f};
one look at {f};{f};{f} please;{f} next;{f}, please;{f}: open it;{f}: read it;{f}: show me;{f}: what does it say;{f}: contents;{f} - show it;
{f} - what is in it;{f}, open it;{f}, read it;{f}, show it to me;{f}, what does it say;{f}, what is in there;{f} is what I need;
{f} is the file I need;{f} is what I want to see;{f} is next;{f} comes next;{f} on screen;{f} on screen please;{f} should be opened;{f} needs reading;
{f} would be good to see;{f} would help;there is {f}, open it;there is a file {f}, read it;there is {f}, what does it say;
there should be {f}, open it;there must be {f}, show it;we have {f}, show it;we have a file {f}, open it;we need {f};we need to read {f};
we need to see {f};we should look at {f};we have to look into {f};we want {f};it is about {f}, open it;it is in {f}, show me;it must be in {f}, open that;
it would help to see {f};it would be good to read {f};it would be nice to see {f};time to read {f};next is {f};next up is {f};next, {f};now {f};
and {f};also {f};then {f};after that {f};reading {f};showing {f};in {f} please;
"""
LIST_STATEMENTS = """
I need the files in {d};I want the files in {d};I need a listing of {d};I want a listing of {d};I want a list of {d};I need a list of what is in {d};
I want to see {d};I need to see {d};I want to see what is in {d};I need to see what is in {d};I want to know what is in {d};
I need to know what is in {d};I want to know which files are in {d};I need to know which files {d} has;I would like to see what {d} has;
I'd like to see the files in {d};I'd like to know what is in {d};I'd like a listing of {d};I would like a listing of {d};I wonder what is in {d};
I wonder which files are in {d};I am curious what is in {d};I am curious about {d};I am looking at {d}, list it;I am in {d}, what is here;
I am in {d}, which files are there;I am interested in {d}, list it;I forgot what is in {d};I forgot which files are in {d};I do not know what is in {d};
I don't know what is in {d};I have no idea what is in {d};I have not looked into {d} yet;I have never been in {d};I mean {d}, list it;
I need {d} listed;I want {d} listed;I could use a listing of {d};I need an overview of {d};I want an overview of {d};I'd like an overview of {d};
my question is what {d} holds;what I want is the files in {d};what I need is a listing of {d};all I want is the contents of {d};
the files in {d};the files in {d} please;the files of {d};the files under {d};the contents of {d} please;the entries of {d};the folder is {d};
the folder I need is {d};the folder I mean is {d}, list it;the names of the files in {d};a listing of {d};a listing of {d} please;a list of {d};
a list of the files in {d};an overview of {d};files in {d};files in {d} please;files under {d};all files in {d};everything in {d};entries of {d};
contents of {d};listing of {d};listing of {d} please;names of the files in {d};{d}: list it;{d}: what is in it;{d}: which files;{d}: which files are there;
{d}: show the files;{d}: contents;{d}: files;{d} - what is in there;{d} - list that;{d}, list it;{d}, what is in it;{d}, which files does it have;
{d}, what is in there;{d}, show me the files;{d} is a folder, what is in it;{d} is a folder, list it;{d} is the folder I need;{d} listing;{d} listing please;
{d} contents please;{d} files please;{d} should be listed;there is {d}, list it;there is a folder {d}, list it;there is a folder {d}, what is in it;
there is {d}, what is in it;there should be files in {d};we have {d}, what is in it;we have a folder {d}, list it;we have a folder {d}, what is there;
we need the files in {d};we need a listing of {d};we need to know what is in {d};we should look at what is in {d};it would help to see the files in {d};
it would be good to know what is in {d};it would be nice to have a listing of {d};it must be in {d}, list that;it is about {d}, list it;
in {d}, which files are there;in {d}, what is there;in {d}, list everything;in {d}: list the files;in {d}: what is there;under {d}, which files are there;
under {d}: list it;inside {d}, what is there;go to {d}, list it;go to {d} and list it;go to {d} and show the files;go into {d} and list the files;
enter {d} and list it;cd {d} and ls;take {d} and list it;take {d} and show what is in it;open the {d} folder;open the folder {d};open the directory {d};
open up the {d} folder;show the {d} folder;show me the {d} folder;show me the folder {d};show the directory {d};show me the directory {d};
display the {d} folder;look at the {d} folder;look at the folder {d};look into the folder {d};check the {d} folder;check the folder {d};
read the {d} folder;read the directory {d};print the {d} folder;print the directory {d};next the files in {d};next up, {d}, list it;listing {d};
"""
LIST_ROOT_STATEMENTS = """
I want to see the files;I need to see the files;I want a list of the files;I need a list of files;I want to see what is here;I need a listing;
I want a listing;I want to know what is here;I need to know which files there are;I want to know what files we have;I'd like to see the files;
I'd like to see everything here;I would like a listing;I would like to know what is here;I wonder what is here;I wonder what files there are;
I am curious what is here;I do not know what is here;I don't know what files there are;I have no idea what is in this project;
I have not seen this repository yet;I have never seen this project;I need an overview;I want an overview;I'd like an overview of the project;
I am in a new project, show me the files;I need the root folder;I want the top level;I need the top folder listed;I want everything listed;
I want it all listed;I need all the files;the files;the files please;the files here;the files in the root;the root folder;the root folder please;
the top level please;the top folder;the whole project;the contents of the root;the contents of this folder;the names of the files;
a listing;a listing please;a list of files;a list of the files please;an overview;an overview please;files;files please;all files;all files please;
everything here;everything you have;contents of this folder;contents of the root;listing;listing please;directory listing;the repository, list it;
the root, list it;this folder, list it;this project, what is in it;this repository, what is in it;this folder, what is here;we need a list of files;
we need a listing;we need an overview of the files;we should see what is here;it would help to see what is here;it would be good to know what is here;
it would be nice to see the files;in the root, what is there;in this folder, which files are there;at the top level, what is there;at the root: list it;
go to the root and list it;go to the top folder and list it;start at the root and list it;open the root folder;open this folder;open the top folder;
look at the root folder;look at this folder;check the root folder;check this folder;read this folder;read the root folder;
"""
