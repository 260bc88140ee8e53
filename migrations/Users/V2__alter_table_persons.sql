ALTER TABLE Persons
ADD Email varchar(255);
