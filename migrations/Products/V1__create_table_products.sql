CREATE TABLE Products (
    ProductID int,
    Name varchar(255),
    Price decimal(10, 2)
);
